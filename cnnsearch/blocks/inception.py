"""Inception modules: parallel convolutions of several sizes, concatenated."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from cnnsearch.blocks.base import Block, Rounding, need_width
from cnnsearch.blocks.layers import Positive
from cnnsearch.blocks.ops import Ops, T

Widths = tuple[Positive, Positive, Positive, Positive, Positive, Positive]


class InceptionV1(Block):
    """1x1, 3x3, 5x5 and pooled branches behind 1x1 reductions (Szegedy et al., arXiv:1409.4842).

    Attributes:
        branches: channels of [1x1, 3x3 reduction, 3x3, 5x5 reduction, 5x5, pool projection], as in
            the paper's table 1; None: a quarter of the stage's width for each of the four branches,
            with reductions of ``reduction`` times that.
        reduction: channels of a reduction over those of the branch it serves.
        kernel: side of the large filter, 5 in the paper.
        pool: what the fourth branch pools with.
    """

    family: ClassVar[str] = "inception"

    type: Literal["inception"] = "inception"
    branches: Widths | None = None
    reduction: Annotated[float, Field(gt=0.0, le=4.0)] = 0.5
    kernel: Positive = 5
    pool: Literal["max", "avg"] = "max"

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        one, three_in, three, five_in, five, pooled = self.branches or self._split(
            need_width(self, width)
        )
        return op.concat(
            [
                op.conv(x, one, 1, stride),
                op.conv(op.conv(x, three_in, 1), three, 3, stride),
                op.conv(op.conv(x, five_in, 1), five, self.kernel, stride),
                op.conv(op.pool(x, self.pool, 3, stride), pooled, 1),
            ]
        )

    def _split(self, width: int) -> Widths:
        quarter = max(1, width // 4)
        reduced = max(1, int(quarter * self.reduction))
        rest = max(1, width - 3 * quarter)
        return (quarter, reduced, rest, reduced, quarter, quarter)

    def scaled(self, width: Rounding) -> Self:
        if self.branches is None:
            return self
        return self.model_copy(update={"branches": tuple(width(b) for b in self.branches)})
