"""Fractal blocks: columns of different depth, joined again and again."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import KernelSize, Rate
from cnnsearch.blocks.ops import Ops, T


class Fractal(Block):
    """FractalNet's expansion rule (Larsson et al., 2016, arXiv:1605.07648, section 2).

    f_1 is a convolution, f_(c+1)(x) joins f_c(f_c(x)) with a convolution of x; joins that follow
    each other are one, and take the mean. The longest of ``columns`` paths has 2^(columns-1)
    convolutions. Where it strides, 2x2 max pooling leads.

    Attributes:
        columns: how often the rule is applied.
        kernel: side of the filters.
        drop_path: rate at which a join drops an input in training, at least one stays (section 3,
            local sampling); the paper's is 0.15.
        doubling: a 1x1 convolution in front brings the map to the block's width.
    """

    family: ClassVar[str] = "fractal"

    type: Literal["fractal"] = "fractal"
    columns: Annotated[int, Field(ge=1, le=8)] = 3
    kernel: KernelSize = 3
    drop_path: Rate = 0.15
    doubling: bool = False

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        if stride > 1:
            x = op.pool(x, "max", stride, stride)
        if self.doubling and op.shape(x).c != filters:
            x = op.conv(x, filters, 1)
        return op.mean(self._columns(op, x, filters, self.columns), self.drop_path)

    def _columns(self, op: Ops[T], x: T, filters: int, count: int) -> list[T]:
        """The ends of ``count`` columns, deepest first, not yet joined."""
        if count == 1:
            return [op.conv(x, filters, self.kernel)]
        half = op.mean(self._columns(op, x, filters, count - 1), self.drop_path)
        deeper = self._columns(op, half, filters, count - 1)
        return [*deeper, op.conv(x, filters, self.kernel)]
