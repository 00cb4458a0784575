"""Darknet-53's residual block and cross-stage partial stages of it and of bottlenecks."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.ops import Ops, T

Share = Annotated[float, Field(gt=0.0, le=4.0)]


class Darknet(Block):
    """1x1 and 3x3 convolution around an identity (Redmon & Farhadi, arXiv:1804.02767, table 1).

    Where size or width change, a 3x3 convolution leads. The paper's activation is ``leaky_relu``.

    Attributes:
        ratio: channels of the 1x1 convolution over the stage's width.
        kernel: side of the second filter.
    """

    family: ClassVar[str] = "darknet"

    type: Literal["darknet"] = "darknet"
    ratio: Share = 0.5
    kernel: KernelSize = 3

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        if stride > 1 or op.shape(x).c != filters:
            x = op.conv(x, filters, 3, stride)
        y = op.conv(x, max(1, round(filters * self.ratio)), 1)
        y = op.conv(y, filters, self.kernel)
        return op.add([x, op.drop_path(y)])


class CrossStage(Block):
    """A whole cross-stage partial stage, CSPNet (Wang et al., 2019, arXiv:1911.11929, fig. 3).

    A 1x1 convolution is split in two; one half goes through ``layers`` residual units and a 1x1
    convolution, the other joins behind them. Where it strides, a 3x3 convolution leads.

    Attributes:
        layers: residual units in the stage; ``depth`` repeats all of it.
        unit: 1x1-3x3-1x1 (``bottleneck``) or 1x1-3x3 (``darknet``).
        expansion: channels of the convolution that is split, over the stage's width.
        share: channels of a unit's output over the stage's width.
        ratio: channels inside a unit over those of its output.
        groups: groups of the strided convolution and of the units' 3x3 convolutions.
        linear: whether the convolution that is split is not activated.
        grow: whether the strided convolution already has the stage's width.
    """

    family: ClassVar[str] = "darknet"

    type: Literal["cross_stage"] = "cross_stage"
    layers: Annotated[int, Field(ge=1, le=100)] = 3
    unit: Literal["bottleneck", "darknet"] = "bottleneck"
    expansion: Share = 1.0
    share: Share = 0.5
    ratio: Share = 1.0
    groups: Positive = 1
    linear: bool = False
    grow: bool = False

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        if stride > 1:
            before = filters if self.grow else op.shape(x).c
            x = op.conv(x, before, 3, stride, groups=self.groups)
        half = max(1, round(filters * self.expansion) // 2)
        x = op.conv(x, 2 * half, 1, activation=not self.linear)
        y = op.select(x, range(half, 2 * half))
        for _ in range(self.layers):
            y = self._wire_unit(op, y, max(1, round(filters * self.share)))
        y = op.conv(y, half, 1)
        return op.conv(op.concat([op.select(x, range(half)), y]), filters, 1)

    def _wire_unit(self, op: Ops[T], x: T, filters: int) -> T:
        inner = max(1, round(filters * self.ratio))
        y = op.conv(x, inner, 1)
        if self.unit == "darknet":
            y = op.conv(y, filters, 3, groups=self.groups)
        else:
            y = op.conv(y, inner, 3, groups=self.groups)
            y = op.conv(y, filters, 1, activation=False)
        y = op.drop_path(y)
        if op.shape(x).c == filters:
            y = op.add([x, y])
        return y if self.unit == "darknet" else op.activate(y)
