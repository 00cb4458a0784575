"""Fused inverted residuals: expansion and depthwise convolution as one full convolution."""

from typing import ClassVar, Literal

from cnnsearch.blocks.attention import Place
from cnnsearch.blocks.base import Block, require_width, round_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.node import Expansion
from cnnsearch.blocks.ops import Ops, T


class FusedMBConv(Block):
    """Full convolution that expands, then a linear 1x1 (EfficientNetV2, arXiv:2104.00298, fig. 2).

    The input joins the output where the block changes neither size nor number of channels. With
    ``expansion: 1`` it is a single activated convolution, without the 1x1.

    Attributes:
        expansion: channels between the two convolutions over those of the input; 1: one
            convolution only.
        divisor: that number of channels is the nearest multiple of it.
        kernel: side of the first convolution's filters.
    """

    family: ClassVar[str] = "inverted"
    attention_places: ClassVar[tuple[Place, ...]] = ("middle", "end")

    type: Literal["fused_mbconv"] = "fused_mbconv"
    expansion: Expansion = 4
    divisor: Positive = 1
    kernel: KernelSize = 3

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters, entering = require_width(self, width), op.shape(x).c
        if self.expansion == 1:
            y = self.attend(op, x, "middle", x)
            y = op.conv(y, filters, self.kernel, stride)
        else:
            wide = round_width(entering * self.expansion, self.divisor)
            y = self.attend(op, op.conv(x, wide, self.kernel, stride), "middle", x)
            y = op.conv(y, filters, 1, activation=False)
        y = self.attend(op, y, "end", x)
        return op.add([x, op.drop_path(y)]) if stride == 1 and entering == filters else y
