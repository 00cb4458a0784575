"""A Gaussian process on ranks that knows what each candidate costs before it is trained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from cnnsearch.oracles.points import Values, make_stream, mutate
from cnnsearch.oracles.recommendation import recommend
from cnnsearch.oracles.strategy import History, Strategy, Trial

if TYPE_CHECKING:
    from cnnsearch.oracles.similarity import Array, Encoder, Points

FIRST_DRAWS = 50  # random candidates, of which the first trials are the most expensive
SAMPLED, MUTATED, PARENTS = 33, 67, 8  # a pool: random candidates, and children of the best
COUNTED = 16  # candidates of a pool whose MACs are counted; those of the others are predicted
SCALE = 0.6  # share of differing values over which the correlation falls to 1/e
NOISE = 0.6  # variance of a rank's noise; that of the ranks is 1
SLOPE = 0.5  # prior gain in rank, in standard deviations, of one in log MACs
RECENT, BEST = 100, 100  # trials that the process is fitted to


class Surrogate(Strategy):
    """Expected improvement of a Gaussian process on ranks, over mutations of the best.

    Larger networks are more accurate until the budget of epochs no longer suffices for them: the
    prior mean rises with log MACs, and a linear kernel in log MACs lets the trials correct it.
    Unordered choices have a Hamming kernel. Ranks are fitted instead of scores, because a few
    collapsed trainings would otherwise dominate the regression. Candidates are mutations of the
    best (White et al., BANANAS, arXiv:1910.11858, and arXiv:2107.07343 for why that is enough).
    """

    name = "surrogate"
    summary = "a Gaussian process over the choices and each candidate's MACs"
    paper = "1910.11858"

    def __init__(self) -> None:
        self._start: _Start | None = None  # a function of space and seed: the trials are the state

    def suggest(self, history: History, rng: Random) -> Iterator[Values]:
        """Yields the most expensive of random draws, then pools ranked by expected improvement."""
        start = self._start = self._start or _Start.make(history)
        if not history.completed or not start.first:
            yield from start.first
            yield from super().suggest(history, rng)
        with start.limit_threads():
            model = _Model.fit(history, start)
        while True:
            pool = _draw_pool(history, model.parents, rng)
            with start.limit_threads():
                chosen = history.keep_feasible([pool[i] for i in model.rank(pool)[:COUNTED]])
                ranked = model.rank(chosen, start.scale(_count_logs(history, chosen)))
            yield from (chosen[i] for i in ranked)
            if not chosen:
                yield history.space.sample(rng)

    def recommend(self, history: History) -> Trial:
        """Returns the trial that is probably the best, which is not always the luckiest."""
        return recommend(history, history.completed)


@dataclass(frozen=True)
class _Start:
    """What does not change during a search.

    Attributes:
        encoder: Of the space.
        first: Random candidates within the budget, the most expensive first.
        logs: Their log MACs.
        controller: Of the threads of linear algebra.
    """

    encoder: "Encoder"
    first: list[Values]
    logs: "Array"
    controller: Any

    @classmethod
    def make(cls, history: History) -> "_Start":
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

        from cnnsearch.oracles.similarity import Encoder

        rng = make_stream(history.seed, 0, "first")
        drawn = [history.space.sample(rng) for _ in range(FIRST_DRAWS)]
        feasible = [values for values in drawn if history.check(values).is_feasible]
        first = sorted(feasible, key=lambda values: -(history.check(values).macs or 0))
        encoder = Encoder(history.space.parameters)
        return cls(encoder, first, _count_logs(history, first), ThreadpoolController())

    def limit_threads(self) -> Any:
        """Returns a context with one thread: matrices this small take longer with more."""
        return self.controller.limit(limits=1)

    def scale(self, logs: "Array") -> "Array":
        """Returns log MACs in standard deviations of the first draws."""
        scaled: Array = (logs - self.logs.mean()) / (float(self.logs.std()) or 1.0)
        return scaled


def _draw_pool(history: History, parents: list[Values], rng: Random) -> list[Values]:
    parameters = history.space.parameters
    drawn = [history.space.sample(rng) for _ in range(SAMPLED)]
    for _ in range(MUTATED):
        changes = 1 + (rng.random() < 0.4) + (rng.random() < 0.4)
        drawn.append(mutate(parameters, rng.choice(parents), rng, changes))
    return drawn


def _count_logs(history: History, points: Sequence[Values]) -> "Array":
    import numpy as np

    return np.log([float(history.check(values).macs or 1) for values in points])


@dataclass(frozen=True)
class _Model:
    """A fitted process.

    Attributes:
        start: Of the search.
        observed: The trials that it is fitted to.
        macs: Their log MACs, scaled.
        root: Cholesky factor of their covariance.
        weights: Their coefficients in the posterior mean.
        slopes: Of log MACs in the levels of a point, with a last one for the constant.
        incumbent: The highest posterior mean of a trial.
        parents: The best trials by posterior mean and rank.
    """

    start: _Start
    observed: "Points"
    macs: "Array"
    root: "Array"
    weights: "Array"
    slopes: "Array"
    incumbent: float
    parents: list[Values]

    @classmethod
    def fit(cls, history: History, start: _Start) -> "_Model":
        """Fits the process to the trials."""
        import numpy as np
        from scipy.linalg import cho_solve

        points, ranks = _observe(history)
        macs = start.scale(_count_logs(history, points))
        observed = start.encoder.encode(points)
        kernel = _correlate(observed, macs, observed, macs)
        root: Array = np.asarray(np.linalg.cholesky(kernel + NOISE * np.eye(len(ranks))))
        weights = cho_solve((root, True), ranks - SLOPE * macs)
        posterior = SLOPE * macs + kernel @ weights
        best = np.argsort(-(posterior + ranks), kind="stable")[:PARENTS]
        known = np.concatenate([observed.levels, start.encoder.encode(start.first).levels])
        slopes = _regress(known, np.concatenate([macs, start.scale(start.logs)]))
        parents = [points[i] for i in best]
        return cls(start, observed, macs, root, weights, slopes, float(posterior.max()), parents)

    def rank(self, pool: list[Values], macs: "Array | None" = None) -> list[int]:
        """Returns the places of a pool's candidates by expected improvement, the best first.

        Args:
            pool: The candidates.
            macs: Their log MACs, scaled; None: predicted, which takes a tenth of the time.
        """
        import numpy as np
        from scipy.linalg import solve_triangular
        from scipy.special import ndtr

        if not pool:
            return []
        asked = self.start.encoder.encode(pool)
        if macs is None:
            macs = asked.levels @ self.slopes[:-1] + self.slopes[-1]
        cross = _correlate(asked, macs, self.observed, self.macs)
        mean = SLOPE * macs + cross @ self.weights
        explained = (solve_triangular(self.root, cross.T, lower=True) ** 2).sum(axis=0)
        deviation = np.sqrt(np.maximum(1.0 + macs**2 - explained, 1e-9))
        gain = (mean - self.incumbent) / deviation
        density = np.exp(-(gain**2) / 2) / np.sqrt(2 * np.pi)
        improvement = deviation * (gain * ndtr(gain) + density)
        return [int(i) for i in np.argsort(-improvement, kind="stable")]


def _regress(levels: "Array", macs: "Array") -> "Array":
    """Returns the coefficients of a ridge regression of log MACs, the constant last."""
    import numpy as np

    center = levels.mean(axis=0)
    spread = levels - center
    solved = np.linalg.solve(spread @ spread.T + 0.1 * np.eye(len(macs)), macs - macs.mean())
    slopes = spread.T @ solved
    return np.append(slopes, macs.mean() - center @ slopes)


def _observe(history: History) -> tuple[list[Values], "Array"]:
    """Returns the trials to fit to and their ranks, with zero mean and unit variance.

    Failed trials have the lowest rank; running ones the middle, so that parallel workers are not
    sent to the same place.
    """
    import numpy as np

    ended = [trial for trial in history.trials.values() if trial.status != "RUNNING"]
    lowest = min((trial.score or 0.0) for trial in history.completed)
    scores = {t.id: lowest if t.score is None else t.score for t in ended}
    by_score = sorted(scores, key=lambda trial_id: -scores[trial_id])
    kept = {*list(scores)[-RECENT:], *by_score[:BEST]}
    known = [trial_id for trial_id in scores if trial_id in kept]
    places = np.argsort(np.argsort([scores[trial_id] for trial_id in known], kind="stable"))
    running = [trial.id for trial in history.trials.values() if trial.status == "RUNNING"]
    ranks = np.concatenate([(places / len(known) - 0.5) / 0.29, np.zeros(len(running))])
    return [history.trials[trial_id].values for trial_id in [*known, *running]], ranks


def _correlate(a: "Points", a_macs: "Array", b: "Points", b_macs: "Array") -> "Array":
    """Returns the (N, M) prior covariance of two sets of candidates."""
    import numpy as np

    from cnnsearch.oracles.similarity import compare

    covariance: Array = np.exp((compare(a, b) - 1.0) / SCALE)
    return covariance + np.outer(a_macs, b_macs)
