"""FasterNet: convolution of a part of the channels."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.ops import Ops, T


class FasterNet(Block):
    """Partial convolution, 1x1 expansion and back (Chen et al., arXiv:2303.03667, fig. 4).

    Where size or width change, a normalized convolution as large as the stride leads.

    Attributes:
        share: share of the channels that is convolved; the others pass through.
        expansion: channels of the hidden layer over the stage's width.
        kernel: side of the partial convolution's filters.
    """

    family: ClassVar[str] = "fasternet"

    type: Literal["fasternet"] = "fasternet"
    share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.25
    expansion: Positive = 2
    kernel: KernelSize = 3

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        if stride > 1 or op.shape(x).c != filters:
            x = op.conv(x, filters, stride, stride, padding="valid", activation=False)
        y = self._convolve_part(op, x, filters)
        y = op.conv(y, filters * self.expansion, 1)
        y = op.conv(y, filters, 1, norm=False, activation=False)
        return op.add([x, op.drop_path(y)])

    def _convolve_part(self, op: Ops[T], x: T, filters: int) -> T:
        part = max(1, int(filters * self.share))
        if part == filters:
            return op.conv(x, part, self.kernel, norm=False, activation=False)
        y = op.select(x, range(part))
        y = op.conv(y, part, self.kernel, norm=False, activation=False)
        return op.concat([y, op.select(x, range(part, filters))])
