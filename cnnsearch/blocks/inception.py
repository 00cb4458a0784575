"""Inception modules: parallel convolutions of several sizes, joined."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import AnyLayer, Join, Positive, wire_all, wire_paths
from cnnsearch.blocks.ops import Activation, Kernel, Ops, T
from cnnsearch.blocks.parts import Ratio

Widths = tuple[Positive, Positive, Positive, Positive, Positive, Positive]
WidthsOrNone = tuple[
    NonNegativeInt, NonNegativeInt, NonNegativeInt, NonNegativeInt, NonNegativeInt, NonNegativeInt
]
PathsOfLayers = Annotated[tuple[tuple[AnyLayer, ...], ...], Field(min_length=1)]
Side = Annotated[int, Field(ge=1, le=31)]


def wire_chain(op: Ops[T], x: T, steps: list[tuple[int, Kernel]], stride: int = 1) -> T:
    """Wires convolutions given as (filters, kernel) one behind the other; the last one strides."""
    for i, (filters, kernel) in enumerate(steps):
        x = op.conv(x, filters, kernel, stride if i == len(steps) - 1 else 1)
    return x


def wire_grid_reduction(op: Ops[T], x: T, width: int, stride: int, reduction: float) -> T:
    """Convolutions and pooling stride side by side (Szegedy et al., arXiv:1512.00567, fig. 10).

    Pooling keeps the channels of ``x``; the two other branches share what is left of ``width``, at
    least one channel each.
    """
    branch = max(1, (width - op.shape(x).c) // 2)
    narrow = max(1, int(branch * reduction))
    return op.concat(
        [
            op.conv(x, branch, 3, stride),
            wire_chain(op, x, [(narrow, 1), (branch, 3), (branch, 3)], stride),
            op.pool(x, "max", 3, stride),
        ]
    )


def split_quarters(width: int, reduction: float) -> tuple[int, int, int]:
    """Channels of three equal branches, of the fourth, and of the reductions in front of them."""
    quarter = max(1, width // 4)
    return quarter, max(1, width - 3 * quarter), max(1, int(quarter * reduction))


def split_width(width: int, reduction: float) -> Widths:
    """Channels of the branches where a block names none, in the order of ``branches``."""
    quarter, rest, reduced = split_quarters(width, reduction)
    return quarter, reduced, rest, reduced, quarter, quarter


class InceptionV1(Block):
    """1x1, 3x3, 5x5 and pooled branches behind 1x1 reductions (Szegedy et al., arXiv:1409.4842).

    Attributes:
        branches: channels of [1x1, 3x3 reduction, 3x3, 5x5 reduction, 5x5, pool projection], as in
            the paper's table 1; None: a quarter of the stage's width for each of the four branches,
            with reductions of ``reduction`` times that.
        reduction: channels of a reduction over those of the branch it serves.
        kernel: side of the large filter, 5 in the paper.
        pool: what the fourth branch pools with.
    """

    family: ClassVar[str] = "inception"

    width_fields: ClassVar[tuple[str, ...]] = ("branches",)
    type: Literal["inception"] = "inception"
    branches: Widths | None = None
    reduction: Ratio = 0.5
    kernel: Positive = 5
    pool: Literal["max", "avg"] = "max"

    def find_unused(self) -> tuple[str, ...]:
        return () if self.branches is None else ("width", "reduction")

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        branches = self.branches or split_width(require_width(self, width), self.reduction)
        one, three_in, three, five_in, five, pooled = branches
        return op.concat(
            [
                op.conv(x, one, 1, stride),
                wire_chain(op, x, [(three_in, 1), (three, 3)], stride),
                wire_chain(op, x, [(five_in, 1), (five, self.kernel)], stride),
                op.conv(op.pool(x, self.pool, 3, stride), pooled, 1),
            ]
        )


class InceptionNaive(Block):
    """1x1, 3x3, 5x5 and bare pooling side by side (Szegedy et al., arXiv:1409.4842, fig. 2a).

    Nothing projects the pooled branch: the output has the width's and the input's channels.

    Attributes:
        kernel: side of the large filter, 5 in the paper.
    """

    family: ClassVar[str] = "inception"

    type: Literal["inception_naive"] = "inception_naive"
    kernel: Side = 5

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        third = max(1, require_width(self, width) // 3)
        branches = [op.conv(x, third, kernel, stride) for kernel in (1, 3, self.kernel)]
        return op.concat([*branches, op.pool(x, "max", 3, stride)])


class InceptionV2(Block):
    """Two 3x3 convolutions in place of the 5x5 (Ioffe & Szegedy, arXiv:1502.03167, fig. 5).

    Attributes:
        branches: channels of [1x1, 3x3 reduction, 3x3, double 3x3 reduction, double 3x3, pool
            projection]; 0 leaves out the 1x1 branch or, at the end, the projection. None: a quarter
            of the stage's width for each branch, and where it strides a grid reduction.
        reduction: channels of a reduction over those of the branch it serves.
        pool: what the fourth branch pools with.
    """

    family: ClassVar[str] = "inception"

    width_fields: ClassVar[tuple[str, ...]] = ("branches",)
    type: Literal["inception_v2"] = "inception_v2"
    branches: WidthsOrNone | None = None
    reduction: Ratio = 0.5
    pool: Literal["max", "avg"] = "avg"

    def find_unused(self) -> tuple[str, ...]:
        return () if self.branches is None else ("width", "reduction")

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        if self.branches is None and stride > 1:
            return wire_grid_reduction(op, x, require_width(self, width), stride, self.reduction)
        branches = self.branches or split_width(require_width(self, width), self.reduction)
        one, three_in, three, double_in, double, pooled = branches
        first = [op.conv(x, one, 1, stride)] if one else []
        last = op.pool(x, self.pool, 3, stride)
        return op.concat(
            [
                *first,
                wire_chain(op, x, [(three_in, 1), (three, 3)], stride),
                wire_chain(op, x, [(double_in, 1), (double, 3), (double, 3)], stride),
                op.conv(last, pooled, 1) if pooled else last,
            ]
        )


class InceptionFactorized(Block):
    """n x n as 1 x n and n x 1 (Szegedy et al., arXiv:1512.00567, figs. 6 and 7).

    A quarter of the stage's width for each of four branches; where it strides, a grid reduction.

    Attributes:
        kernel: n; 7 in the paper's middle modules, 3 in its last.
        reduction: channels of a branch's inner convolutions over those of the branch.
        spread: 1 x n and n x 1 side by side (fig. 7) instead of one behind the other (fig. 6).
        pool: what the fourth branch pools with.
    """

    family: ClassVar[str] = "inception"

    type: Literal["inception_factorized"] = "inception_factorized"
    kernel: Side = 7
    reduction: Ratio = 0.75
    spread: bool = False
    pool: Literal["max", "avg"] = "avg"

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        if stride > 1:
            return wire_grid_reduction(op, x, filters, stride, self.reduction)
        quarter, rest, narrow = split_quarters(filters, self.reduction)
        n, first = self.kernel, op.conv(x, quarter, 1)
        if self.spread:
            ends = [
                self._spread(op, wire_chain(op, x, [(narrow, 1)]), rest),
                self._spread(op, wire_chain(op, x, [(narrow, 1), (narrow, 3)]), quarter),
            ]
        else:
            once: list[tuple[int, Kernel]] = [(narrow, 1), (narrow, (1, n)), (rest, (n, 1))]
            twice: list[tuple[int, Kernel]] = [(narrow, (n, 1)), (narrow, (1, n)), (narrow, (n, 1))]
            ends = [
                wire_chain(op, x, once),
                wire_chain(op, x, [(narrow, 1), *twice, (quarter, (1, n))]),
            ]
        pooled = op.conv(op.pool(x, self.pool, 3, 1), quarter, 1)
        return op.concat([first, *ends, pooled])

    def _spread(self, op: Ops[T], x: T, filters: int) -> T:
        half, n = max(1, filters // 2), self.kernel
        other = max(1, filters - half)
        return op.concat([op.conv(x, half, (1, n)), op.conv(x, other, (n, 1))])


class InceptionResidual(Block):
    """An Inception module around an identity (Szegedy et al., arXiv:1602.07261, figs. 10-19).

    The joined paths are brought to the input's channels by a biased linear 1x1 convolution, scaled
    down and added. Where it strides a grid reduction leads, where only the width changes a 1x1
    convolution.

    Attributes:
        paths: the layers of each path; None: 1x1; 1x1 - n x n (as 1 x n - n x 1 where n > 3); and
            where n is 3, 1x1 - 3x3 - 3x3.
        kernel: n, if ``paths`` is None.
        reduction: channels of each path over the width, if ``paths`` is None.
        scale: of the residual (section 3.3: 0.1 to 0.3).
        activation: whether an activation follows the sum.
    """

    family: ClassVar[str] = "inception"

    width_fields: ClassVar[tuple[str, ...]] = ("paths",)
    type: Literal["inception_residual"] = "inception_residual"
    paths: PathsOfLayers | None = None
    kernel: Side = 3
    reduction: Ratio = 0.25
    scale: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    activation: bool = True

    def find_unused(self) -> tuple[str, ...]:
        return () if self.paths is None else ("kernel", "reduction")

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        if stride > 1:
            x = wire_grid_reduction(op, x, width or op.shape(x).c * 2, stride, 0.5)
        elif width and op.shape(x).c != width:
            x = op.conv(x, width, 1)
        channels = op.shape(x).c
        y = op.concat(self._paths(op, x, max(1, int(channels * self.reduction))))
        y = op.conv(y, channels, 1, bias=True, norm=False, activation=False)
        y = op.add([x, op.drop_path(op.scale(y, self.scale))])
        return op.activate(y) if self.activation else y

    def _paths(self, op: Ops[T], x: T, width: int) -> list[T]:
        if self.paths is not None:
            return [wire_all(op, x, path) for path in self.paths]
        n, ends = self.kernel, [op.conv(x, width, 1)]
        if n > 3:
            return [*ends, wire_chain(op, x, [(width, 1), (width, (1, n)), (width, (n, 1))])]
        return [
            *ends,
            wire_chain(op, x, [(width, 1), (width, n)]),
            wire_chain(op, x, [(width, 1), (width, n), (width, n)]),
        ]


class Parallel(Block):
    """Any module, path by path; a stage's depth repeats it. Where it strides, max pooling leads.

    Attributes:
        paths: the layers of each path; an empty path is the identity.
        join: how the ends meet. ``multiply`` takes maps of one shape, and 1x1 maps as gates.
        activation: what follows the join; True: the style's.
    """

    family: ClassVar[str] = "inception"

    width_fields: ClassVar[tuple[str, ...]] = ("paths",)
    type: Literal["parallel"] = "parallel"
    paths: PathsOfLayers
    join: Join = "concat"
    activation: bool | Activation = False

    def find_unused(self) -> tuple[str, ...]:
        return ("width",)

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        if stride > 1:
            x = op.pool(x, "max", 3, stride)
        return wire_paths(op, x, self.paths, self.join, self.activation)
