"""How well one ranking agrees with another, and how sure that is."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

CONFIDENCE = 0.95
RESAMPLES = 2000
LARGEST = 2**20
"""Numbers that a batch of resamples may take."""
Values = Any
"""Scores along the last axis: a sequence of numbers or an array."""
Statistic = Callable[[Values, Values], Any]


@dataclass(frozen=True)
class Interval:
    """A statistic of the sample and its 95 % interval."""

    value: float
    low: float
    high: float


def spearman(first: Values, second: Values) -> Any:
    """Returns Spearman's rank correlation along the last axis, 0 where one side is all the same."""
    from scipy.stats import rankdata

    ranks = (rankdata(side, axis=-1) for side in (first, second))
    return _cosine(*(rank - rank.mean(axis=-1, keepdims=True) for rank in ranks))


def kendall(first: Values, second: Values) -> Any:
    """Returns Kendall's tau-b along the last axis, 0 where one side is all the same.

    It is the cosine between the signs of all differences: equals weigh nothing.
    """
    import numpy as np

    sides = (np.asarray(side, float) for side in (first, second))
    signs = (np.sign(side[..., :, None] - side[..., None, :]) for side in sides)
    return _cosine(*(sign.reshape(*sign.shape[:-2], -1) for sign in signs))


def _cosine(first: Any, second: Any) -> Any:
    import numpy as np

    lengths = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    product = (first * second).sum(axis=-1)
    return np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0)


def interval(
    statistic: Statistic, first: Sequence[float], second: Sequence[float], seed: int = 0
) -> Interval:
    """Returns a statistic of pairs with its 95 % interval, by the bootstrap over pairs.

    Bias-corrected and accelerated (Efron, 1987), because a correlation near 1 is skewed; where
    that is not defined (all resamples agree), the percentiles.

    Args:
        statistic: :func:`spearman` or :func:`kendall`.
        first: one side of each pair.
        second: the other.
        seed: of the resampling.
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

    def along_last(one: Any, other: Any, axis: int = -1) -> Any:
        return statistic(np.moveaxis(one, axis, -1), np.moveaxis(other, axis, -1))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where BCa is not defined: the caller looks
        found = stats.bootstrap(
            (first, second),
            along_last,
            n_resamples=RESAMPLES,
            batch=max(1, LARGEST // len(first) ** 2),
            paired=True,
            vectorized=True,
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
