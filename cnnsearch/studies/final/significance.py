"""Whether one network beats another, given the noise of seeds and of test images."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Z = 1.96
"""95 % of a normal distribution lie within this many standard deviations."""


@dataclass(frozen=True)
class Difference:
    """Test accuracy of one network minus that of another.

    Attributes:
        gap: difference of the mean test accuracies.
        low: lower end of its 95 % interval.
        high: upper end.
        seeds: whether the interval covers seeds as well as test images, which takes two of each.
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


def compare_accuracy(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> Difference:
    """Compares two networks on the same test images.

    The interval's half width is the root of two squares: the standard error of the paired
    difference over test images, and Welch's t interval over seeds. So neither lucky seeds nor a
    small test split make a winner.

    Args:
        first: whether each prediction was correct, bool (seeds, images).
        second: likewise of the other network, which may have another number of seeds.
    """
    gap = float(first.mean() - second.mean())
    paired = first.mean(axis=0) - second.mean(axis=0)
    images = Z * float(paired.std(ddof=1)) / math.sqrt(len(paired)) if len(paired) > 1 else 1.0
    has_seeds = min(len(first), len(second)) > 1
    seeds = _compute_welch(first.mean(axis=1), second.mean(axis=1)) if has_seeds else 0.0
    half = math.hypot(images, seeds)
    return Difference(gap, gap - half, gap + half, has_seeds)


def _compute_welch(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Returns half the width of Welch's 95 % interval of the difference of two means."""
    from scipy.stats import ttest_ind

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # all seeds agree: no variance, NaN
        interval = ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    half = float(interval.high - interval.low) / 2
    return half if math.isfinite(half) else 0.0
