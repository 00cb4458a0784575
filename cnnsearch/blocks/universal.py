"""Universal inverted bottlenecks: MobileNetV4."""

from typing import ClassVar, Literal

from cnnsearch.blocks.attention import Place
from cnnsearch.blocks.base import Block, require_width, round_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.node import Expansion
from cnnsearch.blocks.ops import Ops, T


class UniversalInverted(Block):
    """Inverted bottleneck with two optional depthwise filters (Qin et al., arXiv:2404.10518).

    Neither is a feed-forward network, ``kernel`` alone an inverted residual, ``start_kernel`` alone
    a ConvNeXt-like block, both are the paper's ExtraDW (figure 4). Where the block strides,
    the second depthwise filter does, else the first, which is 3x3 if the block has none.

    Attributes:
        start_kernel: side of the linear depthwise filter in front of the expansion; null: none.
        kernel: side of the depthwise filter between expansion and projection; null: none.
        expansion: channels of the expansion over those of the input; with 1 its 1x1 convolution
            stays, unlike that of ``inverted_residual``.
        divisor: the expansion's number of channels is the nearest multiple of it.
    """

    family: ClassVar[str] = "inverted"
    attention_places: ClassVar[tuple[Place, ...]] = ("middle", "end")

    type: Literal["universal_inverted"] = "universal_inverted"
    start_kernel: KernelSize | None = None
    kernel: KernelSize | None = 3
    expansion: Expansion = 4
    divisor: Positive = 8

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters, entering = require_width(self, width), op.shape(x).c
        first = 1 if self.kernel else stride
        y = x
        if self.start_kernel or first > 1:
            y = op.depthwise_conv(y, self.start_kernel or 3, first, activation=False)
        y = op.conv(y, round_width(entering * self.expansion, self.divisor), 1)
        if self.kernel:
            y = op.depthwise_conv(y, self.kernel, stride)
        y = self.attend(op, y, "middle", x)
        y = self.attend(op, op.conv(y, filters, 1, activation=False), "end", x)
        return op.add([x, op.drop_path(y)]) if stride == 1 and entering == filters else y
