"""Which trained candidate is probably the best, where scores are noisy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from cnnsearch.oracles.strategy import History, Trial

if TYPE_CHECKING:
    from cnnsearch.oracles.similarity import Array, Points

FEWEST = 5  # trials from which on the process has a say
FITTED = 150  # best trials that the process is fitted to
SCALES = (None, 0.3, 0.6, 1.5)  # of the correlation's fall, as shares of differing values; or none
NOISES = (0.03, 0.1, 0.3, 1.0)  # variances of the noise; that of the scores is 1
ADDITIVE = 4.0  # prior variance of the sum of the single choices' effects
LOWEST = 3.0  # scores count as at most so far below the median, in units of the best's lead on it
OWN = 0.5  # share of its deviation from the process that is a candidate's own, not noise


def recommend(history: History, trials: Sequence[Trial]) -> Trial:
    """Returns the trial that is probably the best.

    The highest of many noisy scores is often a lucky one. A score counts more where similar
    candidates score well too: each is judged by its own score and by what a process predicts for
    it from all of them, averaged over hyperparameters by their marginal likelihood.

    Args:
        history: Knows the space and the candidates' MACs.
        trials: Completed on equal terms.
    """
    ranked = sorted(trials, key=lambda trial: -(trial.score or 0.0))[:FITTED]
    scores = [trial.score or 0.0 for trial in ranked]
    if len(ranked) < FEWEST or scores[0] == scores[-1]:
        return ranked[0]
    judged = _judge(history, ranked)
    return ranked[int(judged.argmax())]


def _judge(history: History, trials: Sequence[Trial]) -> "Array":
    """Returns scores, in standard deviations, of which noise is taken away."""
    import numpy as np

    from cnnsearch.oracles.similarity import Encoder

    scores = standardize([trial.score or 0.0 for trial in trials])
    points = Encoder(history.space.parameters).encode([trial.values for trial in trials])
    macs = np.log([float(history.check(trial.values).macs or 1) for trial in trials])
    expected = _average(list(_fit_all(points, _scale(macs), scores)))
    judged: Array = expected + OWN * (scores - expected)
    return judged


def standardize(scores: Sequence[float]) -> "Array":
    """Returns scores with mean 0 and variance 1; collapsed trainings are moved up to the others."""
    import numpy as np

    values = np.asarray(scores, float)
    median = float(np.median(values))
    return _scale(np.maximum(values, median - LOWEST * (values.max() - median)))


def _scale(values: "Array") -> "Array":
    scaled: Array = (values - values.mean()) / (float(values.std()) or 1.0)
    return scaled


@dataclass(frozen=True)
class _Fit:
    """The posterior means of a process, and its log marginal likelihood up to a constant."""

    means: "Array"
    likelihood: float


def _fit_all(points: "Points", macs: "Array", scores: "Array") -> Iterator[_Fit]:
    """Yields a process for each scale and noise."""
    import numpy as np

    from cnnsearch.oracles.similarity import compare

    levels = points.levels - points.levels.mean(axis=0)
    active = float(points.active.sum(axis=1).mean()) or 1.0
    linear = ADDITIVE * (levels @ levels.T) / active + np.outer(macs, macs)
    distance = 1.0 - compare(points, points)
    for scale, noise in product(SCALES, NOISES):
        kernel = linear if scale is None else linear + np.exp(-distance / scale)
        root = np.linalg.cholesky(kernel + noise * np.eye(len(scores)))
        weights = np.linalg.solve(root.T, np.linalg.solve(root, scores))
        fitted = -0.5 * len(scores) * np.log(float(scores @ weights) / len(scores))
        yield _Fit(kernel @ weights, fitted - float(np.log(np.diag(root)).sum()))


def _average(fits: Sequence[_Fit]) -> "Array":
    import numpy as np

    best = max(fit.likelihood for fit in fits)
    shares = np.exp([fit.likelihood - best for fit in fits])
    means: Array = shares @ np.array([fit.means for fit in fits]) / shares.sum()
    return means
