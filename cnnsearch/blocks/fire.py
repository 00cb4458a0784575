"""Fire modules: SqueezeNet."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.ops import Ops, T

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Fire(Block):
    """1x1 squeeze, then 1x1 and 3x3 expansions side by side (Iandola et al., arXiv:1602.07360).

    Where it strides, 3x3 max pooling leads.

    Attributes:
        squeeze_ratio: channels of the squeeze over those of the output.
        wide_share: share of the output's channels that the 3x3 expansion gives.
        bypass: whether the input is added where it has as many channels (section 6).
    """

    family: ClassVar[str] = "fire"

    type: Literal["fire"] = "fire"
    squeeze_ratio: Share = 0.125
    wide_share: Share = 0.5
    bypass: bool = False

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        if stride > 1:
            x = op.pool(x, "max", 3, stride)
        wide = min(filters - 1, max(1, round(filters * self.wide_share))) or 1
        y = op.conv(x, max(1, int(filters * self.squeeze_ratio)), 1)
        y = op.concat([op.conv(y, max(1, filters - wide), 1), op.conv(y, wide, 3)])
        joins = self.bypass and op.shape(x).c == op.shape(y).c
        return op.add([x, op.drop_path(y)]) if joins else y
