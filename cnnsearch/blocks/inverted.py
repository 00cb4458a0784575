"""Inverted residuals: narrow maps carried around a wide depthwise convolution."""

from typing import ClassVar, Literal

from cnnsearch.blocks.attention import Place
from cnnsearch.blocks.base import Block, require_width, round_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.node import Expansion
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.blocks.parts import SqueezeRatio


class _Inverted(Block):
    family: ClassVar[str] = "inverted"
    attention_places: ClassVar[tuple[Place, ...]] = ("middle", "end")

    expansion: Expansion = 6
    divisor: Positive = 1
    kernel: KernelSize = 3
    squeeze_ratio: SqueezeRatio = 0.0

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters, entering = require_width(self, width), op.shape(x).c
        wide = round_width(entering * self.expansion, self.divisor)
        y = op.conv(x, wide, 1) if self.expansion != 1 else x
        y = op.depthwise_conv(y, self.kernel, stride)
        y = self.attend(op, y, "middle", x, entering * self.squeeze_ratio)
        y = op.conv(y, filters, 1, activation=False)
        y = self.attend(op, y, "end", x)
        return op.add([x, op.drop_path(y)]) if stride == 1 and entering == filters else y


class InvertedResidual(_Inverted):
    """1x1 expansion, depthwise, linear 1x1 projection (Sandler et al., arXiv:1801.04381, fig. 4).

    The input joins the output where the block changes neither size nor number of channels. With
    ``expansion: 1`` there is no expanding convolution: depthwise, then 1x1.

    Attributes:
        expansion: channels of the depthwise convolution over those of the input; 1: no expansion.
        divisor: the depthwise convolution's number of channels is the nearest multiple of it.
        kernel: side of the depthwise filter.
        squeeze_ratio: width of the squeeze-and-excitation gate over the number of *input* channels,
            rounded down, at least 1 (EfficientNet's rule); 0: none.
    """

    type: Literal["inverted_residual"] = "inverted_residual"


class MBConv(_Inverted):
    """Inverted residual with squeeze-and-excitation: MnasNet, EfficientNet (arXiv:1905.11946).

    A gate given by ``attention`` (``eca``, say) replaces the squeeze-and-excitation.

    Attributes:
        expansion: channels of the depthwise convolution over those of the input; 1: no expansion.
        divisor: the depthwise convolution's number of channels is the nearest multiple of it.
        kernel: side of the depthwise filter.
        squeeze_ratio: width of the squeeze-and-excitation gate over the number of *input* channels,
            rounded down, at least 1; a quarter in the paper; 0: none.
    """

    type: Literal["mbconv"] = "mbconv"
    squeeze_ratio: SqueezeRatio = 0.25
