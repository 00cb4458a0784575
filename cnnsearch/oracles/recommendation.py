"""Which trained candidate is probably the best, where scores are noisy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from cnnsearch.oracles.points import Values
from cnnsearch.oracles.strategy import History, Trial

if TYPE_CHECKING:
    from cnnsearch.oracles.similarity import Array, Encoder, Points

FEWEST = 5  # trials from which on the process has a say
FITTED = 150  # best trials that the process is fitted to
SCALES = (None, 0.3, 0.6, 1.5)  # of the correlation's fall, as shares of differing values; or none
NOISES = (0.03, 0.1, 0.3, 1.0)  # variances of the noise; that of the scores is 1
ADDITIVE = 4.0  # prior variance of the sum of the single choices' effects
LOWEST = 3.0  # scores count as at most so far below the median, in units of the best's lead on it
OWN = 0.6  # share of its deviation from the process that is a candidate's own, not noise


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

    scores = standardize([trial.score or 0.0 for trial in trials])
    fits = list(fit_all(Design.make(history, trials), scores))
    shares = np.exp([fit.likelihood - max(f.likelihood for f in fits) for fit in fits])
    expected = shares @ np.array([fit.means for fit in fits]) / shares.sum()
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
class Design:
    """Trials, and what candidates are encoded with to be compared with them.

    Attributes:
        encoder: Of the space.
        trials: Their values.
        points: The same, encoded.
        logs: Their log MACs.
        history: Knows the candidates' MACs.
    """

    encoder: "Encoder"
    trials: list[Values]
    points: "Points"
    logs: "Array"
    history: History

    @classmethod
    def make(cls, history: History, trials: Sequence[Trial]) -> "Design":
        from cnnsearch.oracles.similarity import Encoder

        encoder, values = Encoder(history.space.parameters), [trial.values for trial in trials]
        return cls(encoder, values, encoder.encode(values), _count_logs(history, values), history)

    def compare(self, points: Sequence[Values]) -> tuple["Array", "Array", "Array"]:
        """Returns the (N, trials) linear part of the covariance, the distances, and variances.

        The last are those of the linear part, one a candidate.
        """
        import numpy as np

        from cnnsearch.oracles.similarity import compare

        encoded = self.encoder.encode(points)
        center, active = self.points.levels.mean(axis=0), self.points.active.sum(axis=1).mean()
        weight = np.sqrt(ADDITIVE / (float(active) or 1.0))
        spread = float(self.logs.std()) or 1.0
        a, b = (
            np.column_stack([weight * (p.levels - center), (logs - self.logs.mean()) / spread])
            for p, logs in (
                (encoded, _count_logs(self.history, points)),
                (self.points, self.logs),
            )
        )
        return a @ b.T, 1.0 - compare(encoded, self.points), (a**2).sum(axis=1)


def _count_logs(history: History, points: Sequence[Values]) -> "Array":
    import numpy as np

    return np.log([float(history.check(values).macs or 1) for values in points])


@dataclass(frozen=True)
class Fit:
    """A process with one scale and noise.

    Attributes:
        scale: One of ``SCALES``.
        noise: One of ``NOISES``.
        root: Cholesky factor of the covariance of the scores.
        weights: Coefficients of the scores' covariances in the posterior mean.
        means: The posterior means of the trials.
        likelihood: The log marginal likelihood, up to a constant.
    """

    scale: float | None
    noise: float
    root: "Array"
    weights: "Array"
    means: "Array"
    likelihood: float


def correlate(linear: "Array", distance: "Array", scale: float | None) -> "Array":
    """Returns the covariance: the linear part, and one that falls with the distance."""
    import numpy as np

    total: Array = linear if scale is None else linear + np.exp(-distance / scale)
    return total


def fit_all(design: Design, scores: "Array", noises: Sequence[float] = NOISES) -> Iterator[Fit]:
    """Yields a process for each scale and noise."""
    import numpy as np

    linear, distance, _ = design.compare(design.trials)
    for scale, noise in product(SCALES, noises):
        kernel = correlate(linear, distance, scale)
        root: Array = np.asarray(np.linalg.cholesky(kernel + noise * np.eye(len(scores))))
        weights = np.linalg.solve(root.T, np.linalg.solve(root, scores))
        variance = max(float(scores @ weights) / len(scores), np.finfo(float).tiny)  # equal scores
        fitted = -0.5 * len(scores) * np.log(variance)
        likelihood = fitted - float(np.log(np.diag(root)).sum())
        yield Fit(scale, noise, root, weights, kernel @ weights, likelihood)
