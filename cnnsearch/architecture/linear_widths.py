"""Stages whose widths grow linearly with depth, as RegNets write them."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Annotated

from pydantic import BaseModel, Field

from cnnsearch.architecture.stages import CONFIG, Stage
from cnnsearch.blocks import AnyBlock

TRIED = 1000
"""Multipliers that are tried to find a line."""


class LinearWidths(BaseModel):
    """A line through the widths of blocks, and the steps that they are rounded to.

    Attributes:
        initial: width of the first block before rounding (w_0).
        slope: what each block adds (w_a).
        multiplier: ratio of a step's width to that of the step below (w_m).
    """

    model_config = CONFIG

    initial: Annotated[int, Field(ge=1, le=4096)]
    slope: Annotated[float, Field(ge=0.0, le=4096.0)]
    multiplier: Annotated[float, Field(gt=1.0, le=16.0)]

    def compute_width(self, index: int) -> int:
        """Returns the width of block ``index``, a multiple of 8."""
        exact = self.initial + self.slope * index
        steps = round(math.log(exact / self.initial) / math.log(self.multiplier))
        return max(8, round(self.initial * self.multiplier**steps / 8) * 8)


def fit_line(
    widths: Sequence[int],
    initial: int,
    ranges: Mapping[str, tuple[float, float]],
    fit_width: Callable[[int], int] = int,
) -> LinearWidths | None:
    """Returns a line through the widths of blocks, or None if none was found.

    Args:
        widths: of the blocks, in order.
        initial: width of the first block before rounding.
        ranges: smallest and largest ``slope`` and ``multiplier``; of the multipliers, 1,000 evenly
            spaced ones are tried.
        fit_width: the block's own rounding of a width.
    """
    low, high = ranges["multiplier"]
    for step in range(TRIED + 1):
        multiplier = low + (high - low) * step / TRIED
        slope = _find_slope(widths, initial, multiplier, ranges["slope"])
        if slope is not None:
            line = LinearWidths(initial=initial, slope=slope, multiplier=multiplier)
            if all(fit_width(line.compute_width(i)) == width for i, width in enumerate(widths)):
                return line
    return None


def _find_slope(
    widths: Sequence[int], initial: int, multiplier: float, between: tuple[float, float]
) -> float | None:
    """Returns the middle of the slopes at which each block is rounded to the step of its width."""
    least, most = between
    for i, width in enumerate(widths[1:], 1):
        level = round(math.log(width / initial) / math.log(multiplier))
        least = max(least, initial * (multiplier ** (level - 0.5) - 1) / i)
        most = min(most, initial * (multiplier ** (level + 0.5) - 1) / i)
    return (least + most) / 2 if least <= most else None


class LinearStages(BaseModel):
    """Stages with quantised linear widths (Radosavovic et al., arXiv:2003.13678, eqs. 2 to 4).

    Neighbouring blocks of one width make a stage.

    Attributes:
        block: what is repeated.
        depth: how often, in all stages together.
        widths: how its width grows: ``initial`` is that of the first block before rounding,
            ``slope`` what each block adds, ``multiplier`` the ratio of neighbouring stages' widths.
        stride: the factor by which each of the stages shrinks height and width.
    """

    model_config = CONFIG

    block: AnyBlock
    depth: Annotated[int, Field(ge=1, le=1000)]
    widths: LinearWidths
    stride: Annotated[int, Field(ge=1, le=16)] = 2

    def expand(self) -> list[Stage]:
        """Returns the stages."""
        widths = [self.widths.compute_width(index) for index in range(self.depth)]
        return [
            Stage(
                block=self.block,
                depth=len(list(group)),
                width=self.block.fit_width(width),
                stride=self.stride,
            )
            for width, group in groupby(widths)
        ]
