"""Error distributions of random candidates, and how far those of two spaces lie apart."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cnnsearch.studies.fidelity.statistics import CONFIDENCE, RESAMPLES, Interval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]


def compute_edf(errors: Sequence[float], at: "Array") -> "Array":
    """Returns the share of candidates with an error of at most each of ``at``."""
    import numpy as np

    return np.searchsorted(np.sort(errors), at, side="right") / len(errors)


def compute_band(errors: Sequence[float], at: "Array", seed: int = 0) -> tuple["Array", "Array"]:
    """Returns the lower and upper end of the distribution's pointwise 95 % bootstrap interval."""
    import numpy as np

    rng = np.random.default_rng(seed)
    draws = rng.choice(np.asarray(errors), (RESAMPLES, len(errors)))
    curves = np.array([compute_edf(draw, at) for draw in draws])
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(curves, [tail, 100 - tail], axis=0)
    return low, high


def compare_means(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Interval:
    """Returns the mean of ``first`` minus that of ``second``, with its 95 % bootstrap interval.

    The mean error is the area left of an error distribution (Radosavovic et al., arXiv:2003.13678,
    section 3.1, compare spaces by it).
    """
    import numpy as np

    return _bootstrap(lambda one, other: np.mean(one) - np.mean(other), first, second, seed)


def compare_draws(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Interval:
    """Returns how often a draw of ``first`` has the lower error, ties counted as half.

    0.5 where the spaces are alike (the common-language effect size, McGraw & Wong, 1992).
    """
    import numpy as np

    def share(one: "Array", other: "Array") -> float:
        below = one[:, None] < other[None, :]
        equal = one[:, None] == other[None, :]
        return float(np.mean(below + 0.5 * equal))

    return _bootstrap(share, first, second, seed)


def _bootstrap(
    statistic: Callable[["Array", "Array"], Any],
    first: Sequence[float],
    second: Sequence[float],
    seed: int,
) -> Interval:
    """A percentile interval over both samples, drawn independently."""
    import numpy as np

    rng = np.random.default_rng(seed)
    samples = np.asarray(first, float), np.asarray(second, float)
    found = [
        statistic(*(rng.choice(sample, len(sample)) for sample in samples))
        for _ in range(RESAMPLES)
    ]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(found, [tail, 100 - tail])
    return Interval(float(statistic(*samples)), float(low), float(high))
