"""RegNet: bottlenecks without a bottleneck, whose groups have one width."""

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cnnsearch.blocks.attention import Place
from cnnsearch.blocks.base import Block, Rounding, require_width, round_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.blocks.parts import ShortcutKind, wire_shortcut
from cnnsearch.errors import ArchitectureError


class RegNet(Block):
    """1x1, grouped 3x3, 1x1 around a shortcut (Radosavovic et al., arXiv:2003.13678, fig. 4).

    RegNetY's squeeze-and-excitation is ``attention: {type: squeeze_excite, of: input}``.

    Attributes:
        group_width: channels of a group of the 3x3 convolution, all of them if there are fewer.
        ratio: channels of the 3x3 convolution over those of the block (1 / b in the paper).
        kernel: side of the grouped filter.
        shortcut: what joins where the shape changes: a projection, zero channels (pad), or a
            projection behind average pooling (pool).
    """

    family: ClassVar[str] = "regnet"
    attention_places: ClassVar[tuple[Place, ...]] = ("middle", "end")

    type: Literal["regnet"] = "regnet"
    group_width: Positive = 16
    ratio: Annotated[float, Field(gt=0.0, le=8.0)] = 1.0
    kernel: KernelSize = 3
    shortcut: ShortcutKind = "projection"

    def fit_width(self, width: int) -> int:
        """Returns the nearest width whose groups all have ``group_width`` channels."""
        inner = max(1, round(width * self.ratio))
        size = min(self.group_width, inner)
        fitted = max(1, round(max(1, round(inner / size)) * size / self.ratio))
        if self._has_whole_groups(fitted):
            return fitted
        # With ratios above 1, the width's own rounding can split a group.
        nearby = filter(self._has_whole_groups, range(1, fitted + size + 1))
        return min(nearby, key=lambda each: abs(each - fitted))

    def scale_width(self, width: int, scale: Rounding) -> int:
        """Returns the nearest scaled width whose groups all have ``group_width`` channels.

        As with other widths, it is a multiple of the divisor and loses no more than a tenth.
        """
        scaled, exact = scale(width), width * scale.multiplier
        if scaled == width or self._has_whole_groups(scaled):
            return scaled
        reach = scaled + scale.divisor * self.group_width * math.ceil(1 / self.ratio)
        candidates = filter(self._has_whole_groups, range(scale.divisor, reach + 1, scale.divisor))
        enough = [candidate for candidate in candidates if candidate >= 0.9 * exact]
        return min(enough, key=lambda each: (abs(each - exact), -each), default=scaled)

    def _measure_group(self, width: int) -> tuple[int, int]:
        """Returns the channels of the grouped convolution, and those of one of its groups."""
        inner = round_width(width * self.ratio)
        return inner, min(self.group_width, inner)

    def _has_whole_groups(self, width: int) -> bool:
        inner, size = self._measure_group(width)
        return inner % size == 0

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        inner, size = self._measure_group(filters)
        if inner % size:
            raise ArchitectureError(f"groups of {size} channels do not divide {inner} channels")
        y = op.conv(x, inner, 1)
        y = op.conv(y, inner, self.kernel, stride, groups=inner // size)
        y = self.attend(op, y, "middle", x)
        y = self.attend(op, op.conv(y, filters, 1, activation=False), "end", x)
        around = wire_shortcut(op, x, filters, stride, self.shortcut)
        return op.activate(op.add([around, op.drop_path(y)]))
