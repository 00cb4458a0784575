"""Whether one network beats another, with the interval that seeds and test images leave open."""

import math
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Z = 1.96
"""Of a normal distribution, 95 % lie within so many standard deviations."""


@dataclass(frozen=True)
class Difference:
    """By how much the first of two networks is more accurate than the second.

    Attributes:
        gap: of mean test accuracies.
        low: lower end of the 95 % interval.
        high: its upper end.
        seeds: whether the interval covers seeds as well as test images: two of each are needed.
    """

    gap: float
    low: float
    high: float
    seeds: bool

    @property
    def beaten(self) -> str:
        """Whether the first beats the second: yes, no or unclear."""
        if self.low > 0:
            return "yes"
        return "no" if self.high < 0 else "unclear"


def difference(one: npt.NDArray[Any], two: npt.NDArray[Any]) -> Difference:
    """Compares two networks on the same test images.

    The interval is ``gap`` plus or minus the root of two squares: what other test images would
    change (the standard error of the paired difference, image by image), and what other seeds would
    (Welch's t interval). So neither lucky seeds nor a small test split make a winner.

    Args:
        one: whether the first was right, bool (seeds, images).
        two: likewise the second; the seeds may be fewer or more.
    """
    gap = float(one.mean() - two.mean())
    paired = one.mean(axis=0) - two.mean(axis=0)
    images = Z * float(paired.std(ddof=1)) / math.sqrt(len(paired)) if len(paired) > 1 else 1.0
    both = min(len(one), len(two)) > 1
    seeds = _welch(one.mean(axis=1), two.mean(axis=1)) if both else 0.0
    half = math.hypot(images, seeds)
    return Difference(gap, gap - half, gap + half, both)


def _welch(one: npt.NDArray[Any], two: npt.NDArray[Any]) -> float:
    """Returns half the width of the 95 % interval of the difference of two means (Welch, 1947)."""
    from scipy.stats import t

    parts = [(float(each.var(ddof=1)) / len(each), len(each) - 1) for each in (one, two)]
    variance = sum(part for part, _ in parts)
    if not variance:
        return 0.0
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    return float(t.ppf(0.975, freedom)) * math.sqrt(variance)
