"""What the training time of a network depends on, counted in one walk over its wiring."""

from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.counting import CountingOps
from cnnsearch.blocks.geometry import get_sides
from cnnsearch.blocks.ops import Kernel, Shape, Style

WORK = ("spatial", "pointwise", "grouped", "values", "layers")
"""For one image: multiply-accumulates of convolutions with larger filters, of 1x1 convolutions and
dense layers, and of grouped and depthwise convolutions; values that all layers put out, which stand
for memory traffic; and the number of layers."""


class WorkOps(CountingOps):
    """Adds up work by kind beside the cost."""

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self.spatial = self.grouped = self.values = 0

    def _add(self, output: Shape, params: int = 0, macs: int = 0, frozen: int = 0) -> Shape:
        self.values += output.h * output.w * output.c
        return super()._add(output, params, macs, frozen)

    def conv(
        self, x: Shape, filters: int, kernel: Kernel = 3, stride: int = 1, **options: Any
    ) -> Shape:
        before = self.macs
        output = super().conv(x, filters, kernel, stride, **options)
        if options.get("groups", 1) > 1:
            self.grouped += self.macs - before
        elif get_sides(kernel) != (1, 1):
            self.spatial += self.macs - before
        return output

    def depthwise_conv(
        self, x: Shape, kernel: Kernel = 3, stride: int = 1, **options: Any
    ) -> Shape:
        before = self.macs
        output = super().depthwise_conv(x, kernel, stride, **options)
        self.grouped += self.macs - before
        return output


def count_work(architecture: Architecture) -> tuple[int, ...]:
    """Returns the numbers that :data:`WORK` names.

    Raises:
        ArchitectureError: the architecture cannot be wired; names the place and the rule.
    """
    op = WorkOps(architecture.style)
    architecture.wire(op, Shape(*architecture.input))
    pointwise = op.macs - op.spatial - op.grouped
    return op.spatial, pointwise, op.grouped, op.values, op.count
