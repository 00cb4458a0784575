"""Res2Net: groups of channels that read each other's output inside one bottleneck."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import Positive
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.blocks.parts import ShortcutKind, wire_shortcut


class Res2Net(Block):
    """Bottleneck whose 3x3 convolution is a hierarchy (Gao et al., arXiv:1904.01169, fig. 2).

    Where size or number of channels change, the parts do not read each other, and the last is
    average-pooled.

    Attributes:
        scales: equal parts of the channels that are convolved one after the other (the paper's s);
            the last passes through.
        base_width: channels of one part where the stage's width is 64 (26w in the paper), before
            they are multiplied by ``groups``.
        groups: groups of each 3x3 convolution (Res2NeXt's cardinality); a part has
            width * base_width / 64 * groups channels.
        expansion: output channels over the stage's width.
        shortcut: what joins where the shape changes: a projection, zero channels (pad), or a
            projection behind average pooling (pool).
    """

    family: ClassVar[str] = "res2net"

    type: Literal["res2net"] = "res2net"
    scales: Annotated[int, Field(ge=2, le=16)] = 4
    base_width: Positive = 26
    groups: Positive = 1
    expansion: Positive = 4
    shortcut: ShortcutKind = "projection"

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        part = max(1, filters * self.base_width // 64) * self.groups
        changes = stride > 1 or op.shape(x).c != filters * self.expansion
        y = op.conv(x, part * self.scales, 1)
        y = self._cascade(op, y, part, stride, changes)
        y = op.conv(y, filters * self.expansion, 1, activation=False)
        around = wire_shortcut(op, x, filters * self.expansion, stride, self.shortcut)
        return op.activate(op.add([around, op.drop_path(y)]))

    def _cascade(self, op: Ops[T], x: T, part: int, stride: int, changes: bool) -> T:
        ends: list[T] = []
        for i in range(self.scales - 1):
            y = op.select(x, range(i * part, (i + 1) * part))
            y = op.add([ends[-1], y]) if ends and not changes else y
            ends.append(op.conv(y, part, 3, stride, groups=self.groups))
        last = op.select(x, range((self.scales - 1) * part, self.scales * part))
        return op.concat([*ends, op.pool(last, "avg", 3, stride) if changes else last])
