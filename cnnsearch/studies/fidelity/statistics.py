"""Rank correlations with bootstrap intervals, and the noise that seeds add to scores."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

CONFIDENCE = 0.95
RESAMPLES = 2000
Statistic = Callable[..., Any]
"""Takes two arrays of scores and the axis along which it reduces them."""


@dataclass(frozen=True)
class Interval:
    """A statistic of the sample and its 95 % interval."""

    value: float
    low: float
    high: float


def compute_spearman(first: Any, second: Any, axis: int = -1) -> Any:
    """Returns Spearman's rank correlation along ``axis``, 0 where one side is constant."""
    from scipy.stats import spearmanrho

    return _correlate(spearmanrho, first, second, axis)


def compute_kendall(first: Any, second: Any, axis: int = -1) -> Any:
    """Returns Kendall's tau-b along ``axis``, 0 where one side is constant."""
    from scipy.stats import kendalltau

    return _correlate(kendalltau, first, second, axis)


def _correlate(statistic: Statistic, first: Any, second: Any, axis: int) -> Any:
    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a constant side: NaN, which becomes 0 below
        return np.nan_to_num(statistic(first, second, axis=axis).statistic)


def bootstrap_interval(
    statistic: Statistic, first: Sequence[float], second: Sequence[float], seed: int = 0
) -> Interval:
    """Returns a statistic of pairs with its 95 % bootstrap interval over pairs.

    Bias-corrected and accelerated (Efron, 1987), because a correlation near 1 is skewed. Where BCa
    is undefined (all resamples agree), the percentile interval.
    """
    value = float(statistic(first, second))
    low, high = _bootstrap(statistic, first, second, seed, "BCa")
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = _bootstrap(statistic, first, second, seed, "percentile")
    return Interval(value, low, high)


def _bootstrap(
    statistic: Statistic, first: Sequence[float], second: Sequence[float], seed: int, method: str
) -> tuple[float, float]:
    import numpy as np
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where BCa is undefined: the caller checks
        found = stats.bootstrap(
            (first, second),
            statistic,
            n_resamples=RESAMPLES,
            paired=True,
            vectorized=True,
            confidence_level=CONFIDENCE,
            method=method,
            random_state=np.random.default_rng(seed),
        ).confidence_interval
    return float(found.low), float(found.high)


def select_top(scores: Sequence[float], count: int) -> set[int]:
    """Returns the indices of the ``count`` highest scores; ties go to the earlier."""
    return set(sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:count])


def compute_rank(index: int, scores: Sequence[float]) -> int:
    """Returns the rank of one score among all, from 1; ties share their worst rank."""
    return sum(score >= scores[index] for score in scores)


@dataclass(frozen=True)
class Noise:
    """Variation of long scores between seeds.

    Attributes:
        pairs: candidates that were trained long twice.
        deviation: standard deviation of a long score over seeds.
        ceiling: expected correlation of two long trainings of the same candidates, an upper bound
            for what any short training can reach.
    """

    pairs: int
    deviation: float
    ceiling: float


def estimate_noise(
    first: Sequence[float], second: Sequence[float], population: Sequence[float]
) -> Noise:
    """Estimates the noise of seeds from two long scores of some candidates, and all long scores."""
    import numpy as np

    variance = float(np.mean(np.subtract(first, second) ** 2)) / 2
    spread = float(np.var(population, ddof=1)) if len(population) > 1 else 0.0
    ceiling = max(0.0, 1 - variance / spread) if spread else 0.0
    return Noise(len(first), math.sqrt(variance), ceiling)
