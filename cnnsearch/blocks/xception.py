"""Xception: residual units of separable convolutions."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.convolutions import wire_separable_conv
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.blocks.parts import wire_shortcut


class Xception(Block):
    """Activated separable convolutions around an identity (Chollet, arXiv:1610.02357, fig. 5).

    Where it strides, 3x3 max pooling ends it and a strided 1x1 convolution leads around.

    Attributes:
        layers: how many separable convolutions.
        widths: channels of each of them; None: the stage's width for all.
        kernel: side of the depthwise filters.
        activate_first: whether an activation leads; the network's first unit does without.
    """

    family: ClassVar[str] = "xception"

    width_fields: ClassVar[tuple[str, ...]] = ("widths",)
    type: Literal["xception"] = "xception"
    layers: Annotated[int, Field(ge=1, le=16)] = 3
    widths: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    kernel: KernelSize = 3
    activate_first: bool = True

    def find_unused(self) -> tuple[str, ...]:
        return () if self.widths is None else ("width", "layers")

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        widths = self.widths or (require_width(self, width),) * self.layers
        y = x
        for i, filters in enumerate(widths):
            if i or self.activate_first:
                y = op.activate(y)
            y = wire_separable_conv(op, y, filters, self.kernel, activation=False)
        if stride > 1:
            y = op.pool(y, "max", 3, stride)
        return op.add([wire_shortcut(op, x, widths[-1], stride), op.drop_path(y)])
