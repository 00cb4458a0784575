"""Depthwise-separable blocks: MobileNet and its descendants."""

from typing import ClassVar, Literal

from cnnsearch.blocks.attention import Place
from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.ops import Ops, T


class Separable(Block):
    """Depthwise, then 1x1 convolution, each normalized and activated (arXiv:1704.04861).

    With hard-swish, and squeeze-and-excitation as ``attention`` in the last stages, it is the block
    of PP-LCNet (arXiv:2109.15099).

    Attributes:
        kernel: side of the depthwise filter.
        dilation: distance between the taps of the filter; strided blocks ignore it.
    """

    family: ClassVar[str] = "separable"
    attention_places: ClassVar[tuple[Place, ...]] = ("middle", "end")

    type: Literal["separable"] = "separable"
    kernel: KernelSize = 3
    dilation: Positive = 1

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        dilation = self.dilation if stride == 1 else 1
        y = op.depthwise_conv(x, self.kernel, stride, dilation=dilation)
        y = op.conv(self.attend(op, y, "middle", x), require_width(self, width), 1)
        return self.attend(op, y, "end", x)
