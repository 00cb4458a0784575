"""Blocks that train as several branches and are deployed as one convolution."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import Positive
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.blocks.parts import centre_padding

Branches = Annotated[int, Field(ge=1, le=16)]
OddSide = Literal[1, 3, 5, 7, 9, 11]


class _Folding(Block):
    """Sums of parallel convolutions that become one with a bias; see :meth:`Block.fold`."""

    family: ClassVar[str] = "repvgg"

    branches: Branches = 1
    kernel: OddSide = 3
    folded: bool = False

    def fold(self) -> Self:
        return self.model_copy(update={"folded": True})

    def wire_sum(self, op: Ops[T], x: T, filters: int, kernel: int, stride: int, groups: int) -> T:
        """Wires ``branches`` convolutions, one of 1x1 and a normalized identity, added up."""
        if self.folded:
            y = _convolve(op, x, filters, kernel, stride, groups, folded=True)
            return op.activate(y)
        sides = [kernel] * self.branches + ([1] if kernel > 1 else [])
        ends = [_convolve(op, x, filters, side, stride, groups) for side in sides]
        if stride == 1 and op.shape(x).c == filters:
            ends.append(op.normalize(x))
        return op.activate(op.add(ends))


def _convolve(
    op: Ops[T], x: T, filters: int, kernel: int, stride: int, groups: int, folded: bool = False
) -> T:
    """A convolution whose taps stand around the position that a 1x1 convolution reads."""
    padding = centre_padding(kernel, stride)
    bias, norm = (True, False) if folded else (False, True)
    if groups == op.shape(x).c == filters:
        return op.depthwise_conv(
            x, kernel, stride, padding=padding, bias=bias, norm=norm, activation=False
        )
    return op.conv(
        x, filters, kernel, stride,
        padding=padding, groups=groups, bias=bias, norm=norm, activation=False,
    )  # fmt: skip


class RepVGG(_Folding):
    """3x3, 1x1 and identity added in training, 3x3 when deployed (Ding et al., arXiv:2101.03697).

    Attributes:
        branches: convolutions of full size, added up.
        kernel: their side.
        groups: groups of all convolutions.
        folded: whether the branches are one convolution already; exports fold them themselves.
    """

    type: Literal["repvgg"] = "repvgg"
    groups: Positive = 1

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        return self.wire_sum(op, x, filters, self.kernel, stride, self.groups)


class MobileOne(_Folding):
    """Depthwise, then 1x1, each of several branches in training (Vasu et al., arXiv:2206.04040).

    Attributes:
        branches: convolutions of full size, added up, in each of the two sums.
        kernel: side of the depthwise filters.
        folded: whether the branches are one convolution already; exports fold them themselves.
    """

    type: Literal["mobileone"] = "mobileone"

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        entering = op.shape(x).c
        y = self.wire_sum(op, x, entering, self.kernel, stride, entering)
        return self.wire_sum(op, y, require_width(self, width), 1, 1, 1)
