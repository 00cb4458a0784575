"""The surrogate's process, and what it learns from earlier searches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnnsearch.oracles.points import Values
from cnnsearch.oracles.protocol import EarlierResult
from cnnsearch.oracles.strategy import History

if TYPE_CHECKING:
    from cnnsearch.oracles.similarity import Array, Encoder, Points

SCALE = 1.2  # share of differing values over which the correlation falls to 1/e
NOISE = 0.6  # variance of a rank's noise; that of the ranks is 1
SLOPE = 0.5  # prior gain in rank, in standard deviations, of one in a feature such as log MACs
LEARNED = 200  # best results of an earlier search that are learned from
FIRST = 3  # best results of an earlier search that are tried first


def count_logs(history: History, points: Sequence[Values]) -> "Array":
    """Returns the log MACs of candidates."""
    import numpy as np

    return np.log([float(history.check(values).macs or 1) for values in points])


def rank_scores(scores: Sequence[float]) -> "Array":
    """Returns ranks with zero mean and, of many, unit variance; equal scores have equal ranks."""
    from scipy.stats import rankdata

    ranks: Array = ((rankdata(scores) - 0.5) / len(scores) - 0.5) / 0.29
    return ranks


def correlate(a: "Points", a_features: "Array", b: "Points", b_features: "Array") -> "Array":
    """Returns the (N, M) prior covariance of two sets of candidates with features (N, F)."""
    import numpy as np

    from cnnsearch.oracles.similarity import compare

    covariance: Array = np.exp((compare(a, b) - 1.0) / SCALE)
    return covariance + a_features @ b_features.T


@dataclass(frozen=True)
class Experience:
    """A process fitted to an earlier search: its prediction is a feature of candidates.

    As the effect of a feature is learned from the trials of the present search, an earlier one that
    misleads is soon disregarded.

    Attributes:
        points: The earlier candidates, in the words of the present space.
        macs: Their log MACs, scaled, (N, 1).
        weights: Coefficients in the posterior mean.
        center: Mean of the predictions for them.
        spread: Standard deviation of the same.
    """

    points: "Points"
    macs: "Array"
    weights: "Array"
    center: float
    spread: float

    @classmethod
    def learn(cls, encoder: "Encoder", results: Sequence[EarlierResult]) -> "Experience":
        """Fits the process to the best results of a search."""
        import numpy as np

        best = sorted(results, key=lambda result: -result.score)[:LEARNED]
        points = encoder.encode([result.values for result in best])
        logs = np.log([float(result.macs or 1) for result in best])
        macs = ((logs - logs.mean()) / (float(logs.std()) or 1.0))[:, None]
        ranks = rank_scores([result.score for result in best])
        kernel = correlate(points, macs, points, macs)
        weights = np.linalg.solve(kernel + NOISE * np.eye(len(best)), ranks - SLOPE * macs[:, 0])
        found = SLOPE * macs[:, 0] + kernel @ weights
        return cls(points, macs, weights, float(found.mean()), float(found.std()) or 1.0)

    def predict(self, points: "Points", macs: "Array") -> "Array":
        """Returns the (N,) ranks that the earlier search lets expect, with unit variance."""
        cross = correlate(points, macs[:, None], self.points, self.macs)
        found: Array = SLOPE * macs + cross @ self.weights
        return (found - self.center) / self.spread


def list_best(earlier: Sequence[Sequence[EarlierResult]]) -> Iterator[Values]:
    """Yields the best candidates of each earlier search."""
    for results in earlier:
        best = sorted(results, key=lambda result: -result.score)[:FIRST]
        yield from (dict(result.values) for result in best)
