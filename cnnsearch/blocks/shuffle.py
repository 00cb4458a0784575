"""ShuffleNet v2: one half of the channels is convolved, the other passes, then they mix."""

from typing import ClassVar, Literal

from cnnsearch.blocks.attention import Place
from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import KernelSize
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.blocks.regroup import ChannelSplit, wire_shuffle
from cnnsearch.errors import ArchitectureError


class ShuffleV2(Block):
    """Split, convolve one half, join, shuffle (Ma et al., arXiv:1807.11164, figs. 3c and 3d).

    Where size or width change, both halves are made from the whole input.

    Attributes:
        kernel: side of the depthwise filters.
    """

    family: ClassVar[str] = "shuffle"
    attention_places: ClassVar[tuple[Place, ...]] = ("end",)

    type: Literal["shuffle_v2"] = "shuffle_v2"
    kernel: KernelSize = 3

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        if filters % 2:
            raise ArchitectureError(f"{filters} channels cannot be split into halves")
        if stride == 1 and op.shape(x).c == filters:
            kept, y = ChannelSplit(take=(0,)).wire(op, x), ChannelSplit(take=(1,)).wire(op, x)
        else:
            kept = op.depthwise_conv(x, self.kernel, stride, activation=False)
            kept, y = op.conv(kept, filters // 2, 1), x
        y = op.conv(y, filters // 2, 1)
        y = op.depthwise_conv(y, self.kernel, stride, activation=False)
        y = self.attend(op, op.conv(y, filters // 2, 1), "end", x)
        return wire_shuffle(op, op.concat([kept, y]), 2)
