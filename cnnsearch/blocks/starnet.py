"""StarNet: two 1x1 convolutions of one map, multiplied."""

from typing import ClassVar, Literal

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.ops import Ops, T


class StarNet(Block):
    """Depthwise, two 1x1 expansions multiplied, 1x1, depthwise (Ma et al., arXiv:2403.19967).

    Where size or width change, a normalized 3x3 convolution leads. The paper's style is
    ``{activation: relu6, bias: true}``.

    Attributes:
        expansion: channels of either expansion over the stage's width.
        kernel: side of the two depthwise filters.
    """

    family: ClassVar[str] = "starnet"

    type: Literal["starnet"] = "starnet"
    expansion: Positive = 4
    kernel: KernelSize = 7

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        if stride > 1 or op.shape(x).c != filters:
            x = op.conv(x, filters, 3, stride, activation=False)
        hidden = filters * self.expansion
        y = op.depthwise_conv(x, self.kernel, activation=False)
        gate = op.conv(y, hidden, 1, norm=False)
        y = op.multiply(op.conv(y, hidden, 1, norm=False, activation=False), gate)
        y = op.conv(y, filters, 1, activation=False)
        y = op.depthwise_conv(y, self.kernel, norm=False, activation=False)
        return op.add([x, op.drop_path(y)])
