"""Plain stacks of convolutions: VGG and its forerunners."""

from typing import ClassVar, Literal

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.ops import Ops, T


class Plain(Block):
    """Convolution, normalization, activation (Simonyan & Zisserman, 2014, arXiv:1409.1556).

    Attributes:
        kernel: side of the filters.
        dilation: distance between the taps of a filter; strided blocks ignore it.
        groups: groups of channels that do not see each other.
    """

    family: ClassVar[str] = "plain"

    type: Literal["plain"] = "plain"
    kernel: KernelSize = 3
    dilation: Positive = 1
    groups: Positive = 1

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        dilation = self.dilation if stride == 1 else 1
        filters = require_width(self, width)
        return op.conv(x, filters, self.kernel, stride, groups=self.groups, dilation=dilation)
