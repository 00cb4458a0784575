"""How well one ranking agrees with another, and how sure that is."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

CONFIDENCE = 0.95
RESAMPLES = 2000
Statistic = Callable[..., float]


@dataclass(frozen=True)
class Interval:
    """A statistic of the sample and its 95 % interval."""

    value: float
    low: float
    high: float


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Returns Spearman's rank correlation, 0 where one side is all the same."""
    from scipy import stats

    return _number(stats.spearmanr, first, second)


def kendall(first: Sequence[float], second: Sequence[float]) -> float:
    """Returns Kendall's tau-b, 0 where one side is all the same."""
    from scipy import stats

    return _number(stats.kendalltau, first, second)


def _number(correlate: Any, first: Sequence[float], second: Sequence[float]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a constant side is told by the NaN too
        found = float(correlate(first, second).statistic)
    return found if math.isfinite(found) else 0.0


def interval(
    statistic: Statistic, first: Sequence[float], second: Sequence[float], seed: int = 0
) -> Interval:
    """Returns a statistic of pairs with its 95 % interval, by the bootstrap over pairs.

    Bias-corrected and accelerated (Efron, 1987), because a correlation near 1 is skewed; where
    that is not defined (all resamples agree), the percentiles.

    Args:
        statistic: of two equally long sequences.
        first: one side of each pair.
        second: the other.
        seed: of the resampling.
    """
    value = statistic(first, second)
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
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            (first, second),
            statistic,
            n_resamples=RESAMPLES,
            paired=True,
            vectorized=False,
            confidence_level=CONFIDENCE,
            method=method,
            random_state=np.random.default_rng(seed),
        ).confidence_interval
    return float(found.low), float(found.high)


def top(scores: Sequence[float], count: int) -> set[int]:
    """Returns the places of the ``count`` highest scores; of equals, the earlier."""
    return set(sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:count])


def rank_of(place: int, scores: Sequence[float]) -> int:
    """Returns the rank of one score among all, from 1; equals share the worst of theirs."""
    return sum(score >= scores[place] for score in scores)


@dataclass(frozen=True)
class Noise:
    """What a second long training of the same candidates tells.

    Attributes:
        pairs: candidates that were trained long twice.
        deviation: standard deviation of a long score over seeds.
        ceiling: the correlation that two long trainings would have with one another: no short one
            can be expected to have a higher one.
    """

    pairs: int
    deviation: float
    ceiling: float


def noise(first: Sequence[float], again: Sequence[float], every: Sequence[float]) -> Noise:
    """Returns the noise of seeds.

    Args:
        first: long scores of some candidates.
        again: those of their second training.
        every: all long scores.
    """
    squares = sum((a - b) ** 2 for a, b in zip(first, again, strict=True))
    variance = squares / (2 * len(first))
    mean = sum(every) / len(every)
    spread = sum((score - mean) ** 2 for score in every) / max(1, len(every) - 1)
    ceiling = max(0.0, 1 - variance / spread) if spread else 0.0
    return Noise(len(first), math.sqrt(variance), ceiling)
