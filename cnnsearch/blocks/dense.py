"""Densely connected blocks: every layer reads all the maps before it."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.blocks.parts import wire_preactivated


class Dense(Block):
    """BN-ReLU-conv layer whose output joins its input (Huang et al., 2016, arXiv:1608.06993).

    A stage's first block, where it strides, is led by a transition: BN-ReLU-1x1 convolution that
    keeps ``compression`` of the channels, and average pooling. Behind the last block stand a
    normalization and an activation that no line of the file names, unless the next stage begins
    with its own (as ``dense`` and the ``preact_`` blocks do); do not write them a second time.

    Attributes:
        growth: channels that each layer adds; None: a quarter of the stage's width.
        bottleneck: the 1x1 convolution in front has this many times ``growth`` channels; 0: none.
        compression: share of the channels that a transition keeps.
        kernel: side of the filter.
    """

    family: ClassVar[str] = "dense"
    preactivation: ClassVar[bool] = True
    pools_itself: ClassVar[bool] = True

    width_fields: ClassVar[tuple[str, ...]] = ("growth",)
    type: Literal["dense"] = "dense"
    growth: Positive | None = None
    bottleneck: Annotated[int, Field(ge=0)] = 4
    compression: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    kernel: KernelSize = 3

    def find_unused(self) -> tuple[str, ...]:
        return () if self.growth is None else ("width",)

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        growth = self.growth or max(1, require_width(self, width) // 4)
        if stride > 1:
            x = self._transition(op, x, stride)
        y = x
        if self.bottleneck:
            y = wire_preactivated(op, y, self.bottleneck * growth, 1)
        y = wire_preactivated(op, y, growth, self.kernel)
        return op.concat([x, y])

    def _transition(self, op: Ops[T], x: T, stride: int) -> T:
        kept = max(1, int(op.shape(x).c * self.compression))
        return op.pool(wire_preactivated(op, x, kept, 1), "avg", stride, stride, "valid")
