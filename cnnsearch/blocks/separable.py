"""Depthwise-separable blocks: MobileNet and its descendants."""

from typing import ClassVar, Literal

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.ops import Ops, T


class Separable(Block):
    """Depthwise, then 1x1 convolution, each normalized and activated (arXiv:1704.04861).

    Attributes:
        kernel: side of the depthwise filter.
        dilation: distance between the taps of the filter; strided blocks ignore it.
    """

    family: ClassVar[str] = "separable"

    type: Literal["separable"] = "separable"
    kernel: KernelSize = 3
    dilation: Positive = 1

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        dilation = self.dilation if stride == 1 else 1
        y = op.depthwise_conv(x, self.kernel, stride, dilation=dilation)
        return op.conv(y, require_width(self, width), 1)
