"""Ghost modules: half of the channels are cheap copies of the other half."""

from typing import ClassVar, Literal

from cnnsearch.blocks.attention import Place
from cnnsearch.blocks.base import Block, require_width, round_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.node import Expansion
from cnnsearch.blocks.ops import Ops, T


class Ghost(Block):
    """Two Ghost modules around a shortcut (GhostNet, Han et al., arXiv:1911.11907, fig. 3).

    A module makes half of its channels by a 1x1 convolution and the others by depthwise filters on
    those. Between the two modules stands a depthwise convolution where the block strides.

    Attributes:
        expansion: channels between the two modules over those of the input; with 1 the first
            module stays.
        divisor: that number of channels is the nearest multiple of it.
        kernel: side of the depthwise filters that stride, the shortcut's too.
        cheap_kernel: side of the depthwise filters inside the modules.
    """

    family: ClassVar[str] = "ghost"
    attention_places: ClassVar[tuple[Place, ...]] = ("middle", "end")

    type: Literal["ghost"] = "ghost"
    expansion: Expansion = 6
    divisor: Positive = 4
    kernel: KernelSize = 3
    cheap_kernel: KernelSize = 3

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters, entering = require_width(self, width), op.shape(x).c
        wide = round_width(entering * self.expansion, self.divisor)
        y = self._wire_module(op, x, wide, activation=True)
        if stride > 1:
            y = op.depthwise_conv(y, self.kernel, stride, activation=False)
        y = self.attend(op, y, "middle", x)
        y = self.attend(op, self._wire_module(op, y, filters, activation=False), "end", x)
        around = x
        if stride > 1 or entering != filters:
            around = op.depthwise_conv(x, self.kernel, stride, activation=False)
            around = op.conv(around, filters, 1, activation=False)
        return op.add([around, op.drop_path(y)])

    def _wire_module(self, op: Ops[T], x: T, filters: int, activation: bool) -> T:
        costly = op.conv(x, filters - filters // 2, 1, activation=activation)
        cheap = op.depthwise_conv(costly, self.cheap_kernel, activation=activation)
        # Of an odd number of channels the convolution makes one more.
        return op.concat([costly, op.select(cheap, range(filters // 2))])
