"""Adds up the cost of an architecture by walking its wiring with shapes."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from cnnsearch.blocks.geometry import get_sides, slide_window
from cnnsearch.blocks.ops import Activation, Kernel, NormKind, Padding, PoolKind, Shape, Style
from cnnsearch.errors import ArchitectureError

MOST_LAYERS = 10_000
MOST_VALUES = 2**40  # of one map
_NOWHERE: AbstractContextManager[None] = nullcontext()


class CountingOps:
    """Interprets the verbs of an architecture's ``style`` on shapes, and adds up cost."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self.params = 0
        self.frozen = 0
        self.macs = 0
        self.acts = 0
        self.count = 0

    def scope(self, name: str, drop_path: float = 0.0) -> AbstractContextManager[object]:
        return _NOWHERE

    def shape(self, x: Shape) -> Shape:
        return x

    def _add(self, output: Shape, params: int = 0, macs: int = 0, frozen: int = 0) -> Shape:
        self.params += params
        self.frozen += frozen
        self.macs += macs
        self.count += 1
        if self.count > MOST_LAYERS:
            raise ArchitectureError(f"more than {MOST_LAYERS:,} layers in all")
        if output.h * output.w * output.c > MOST_VALUES:
            raise ArchitectureError(f"a map of shape {output} has more than 2^40 values")
        return output

    def _count_norm(self, channels: int, kind: NormKind | None = None) -> tuple[int, int]:
        """Trainable parameters and moving statistics of a normalization."""
        kind = kind or self.style.norm
        if kind == "none":
            return 0, 0
        if kind == "group" and channels % self.style.norm_groups:
            groups = self.style.norm_groups
            raise ArchitectureError(f"{groups} groups do not divide {channels} channels")
        learned = channels * (2 if self.style.norm_scale or kind == "global_response" else 1)
        return learned, 2 * channels if kind == "batch" else 0

    def _count_activation(self, channels: int, activation: bool | Activation) -> int:
        """Slopes of an activation that learns them; True is the style's."""
        learns = (self.style.activation if activation is True else activation) == "prelu"
        return channels if learns else 0

    def _add_conv(self, output: Shape, weights: int, learned: int, frozen: int = 0) -> Shape:
        positions = output.h * output.w
        self.acts += positions * output.c
        return self._add(output, weights + learned, weights * positions, frozen)

    def conv(
        self,
        x: Shape,
        filters: int,
        kernel: Kernel = 3,
        stride: int = 1,
        *,
        padding: Padding = "same",
        groups: int = 1,
        dilation: int = 1,
        bias: bool | None = None,
        norm: bool = True,
        activation: bool | Activation = True,
    ) -> Shape:
        if groups > 1 and (x.c % groups or filters % groups):
            raise ArchitectureError(f"{groups} groups do not divide {x.c} channels into {filters}")
        kh, kw = get_sides(kernel)
        h, w = slide_window(x, (kh, kw), stride, padding, dilation)
        weights = kh * kw * (x.c // groups) * filters
        learned, frozen = self._count_norm(filters) if norm else (0, 0)
        if self.style.conv_bias if bias is None else bias:
            learned += filters
        learned += self._count_activation(filters, activation)
        return self._add_conv(Shape(h, w, filters), weights, learned, frozen)

    def depthwise_conv(
        self,
        x: Shape,
        kernel: Kernel = 3,
        stride: int = 1,
        *,
        multiplier: int = 1,
        padding: Padding = "same",
        dilation: int = 1,
        bias: bool | None = None,
        norm: bool = True,
        activation: bool | Activation = True,
    ) -> Shape:
        kh, kw = get_sides(kernel)
        h, w = slide_window(x, (kh, kw), stride, padding, dilation)
        filters = x.c * multiplier
        weights = kh * kw * filters
        learned, frozen = self._count_norm(filters) if norm else (0, 0)
        if self.style.conv_bias if bias is None else bias:
            learned += filters
        learned += self._count_activation(filters, activation)
        return self._add_conv(Shape(h, w, filters), weights, learned, frozen)

    def channel_conv(self, x: Shape, kernel: int) -> Shape:
        self.macs += kernel * (x.c - 1)  # its one filter slides over the channels
        return self._add_conv(x, kernel, 0)

    def dense(
        self, x: Shape, units: int, *, activation: Activation = "linear", bias: bool = True
    ) -> Shape:
        learned = units * bias + self._count_activation(units, activation)
        return self._add_conv(Shape(x.h, x.w, units), x.c * units, learned)

    def normalize(self, x: Shape, kind: NormKind | None = None) -> Shape:
        learned, frozen = self._count_norm(x.c, kind)
        return self._add(x, learned, 0, frozen)

    def local_response_norm(self, x: Shape) -> Shape:
        return self._add(x)

    def activate(self, x: Shape, activation: Activation | None = None) -> Shape:
        self.params += self._count_activation(x.c, activation or True)
        return x

    def pool(
        self, x: Shape, kind: PoolKind, size: int = 2, stride: int = 2, padding: Padding = "same"
    ) -> Shape:
        h, w = slide_window(x, (size, size), stride, padding)
        return self._add(Shape(h, w, x.c))

    def global_pool(self, x: Shape, kind: PoolKind = "avg") -> Shape:
        return self._add(Shape(1, 1, x.c))

    def flatten(self, x: Shape) -> Shape:
        return self._add(Shape(1, 1, x.h * x.w * x.c))

    def add(self, xs: Sequence[Shape]) -> Shape:
        if any(x != xs[0] for x in xs):
            raise ArchitectureError(f"branches to be added have shapes {_format_shapes(xs)}")
        return self._add(xs[0])

    def mean(self, xs: Sequence[Shape], drop_path: float = 0.0) -> Shape:
        if any(x != xs[0] for x in xs):
            raise ArchitectureError(f"branches to be averaged have shapes {_format_shapes(xs)}")
        return self._add(xs[0])

    def multiply(self, x: Shape, gate: Shape) -> Shape:
        if gate not in ((1, 1, x.c), x):
            raise ArchitectureError(f"a gate of shape {gate} does not fit a map of shape {x}")
        return self._add(x)

    def concat(self, xs: Sequence[Shape]) -> Shape:
        if any(x[:2] != xs[0][:2] for x in xs):
            raise ArchitectureError(f"branches to be concatenated have shapes {_format_shapes(xs)}")
        return self._add(Shape(xs[0].h, xs[0].w, sum(x.c for x in xs)))

    def select(self, x: Shape, channels: Sequence[int]) -> Shape:
        if not channels or max(channels) >= x.c:
            raise ArchitectureError(f"channels {list(channels)} are not all in a map of shape {x}")
        return Shape(x.h, x.w, len(channels))

    def pad_channels(self, x: Shape, channels: int) -> Shape:
        if channels < x.c:
            raise ArchitectureError(f"a map of shape {x} cannot be padded to {channels} channels")
        return Shape(x.h, x.w, channels)

    def shift(self, x: Shape) -> Shape:
        return x

    def space_to_depth(self, x: Shape, block: int = 2) -> Shape:
        if x.h % block or x.w % block:
            raise ArchitectureError(f"space to depth by {block} does not divide a map of shape {x}")
        return self._add(Shape(x.h // block, x.w // block, x.c * block**2))

    def scale(self, x: Shape, factor: float) -> Shape:
        return x

    def affine(self, x: Shape, *, bias: bool, initial: float = 1.0) -> Shape:
        return self._add(x, x.c * (2 if bias else 1))

    def dropout(self, x: Shape, rate: float) -> Shape:
        return x

    def drop_path(self, x: Shape) -> Shape:
        return x

    def rbf(self, x: Shape, classes: int) -> Shape:
        return self._add(Shape(1, 1, classes), 0, 0, x.c * classes)


def _format_shapes(shapes: Sequence[Shape]) -> str:
    return " and ".join(str(shape) for shape in dict.fromkeys(shapes))
