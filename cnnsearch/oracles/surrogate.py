"""A Gaussian process on ranks that knows what each candidate costs before it is trained."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from cnnsearch.oracles.experience import (
    NOISE,
    SLOPE,
    Experience,
    correlate,
    count_logs,
    list_best,
    rank_scores,
)
from cnnsearch.oracles.points import Values, make_stream, mutate
from cnnsearch.oracles.recommendation import recommend
from cnnsearch.oracles.strategy import History, Strategy, Trial

if TYPE_CHECKING:
    from cnnsearch.oracles.similarity import Array, Encoder, Points

FIRST_DRAWS = 50  # random candidates, of which the first trials are the most expensive
SAMPLED, MUTATED, PARENTS = 33, 67, 8  # a pool: random candidates, and children of the best
COUNTED = 16  # candidates of a pool whose MACs are counted; those of the others are predicted
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
    learns = True
    is_guided = True
    summary = "a Gaussian process over the choices and each candidate's MACs"
    paper = "1910.11858"

    def __init__(self) -> None:
        self._start: _Start | None = None  # a function of space and seed: the trials are the state

    def suggest(self, history: History, rng: Random) -> Iterator[Values]:
        """Yields the most expensive of random draws, then pools ranked by expected improvement."""
        start = self._start = self._start or _Start.make(history)
        if not history.completed or not start.first:
            yield from list_best(history.earlier)
            yield from start.first
            yield from super().suggest(history, rng)
        with start.limit_threads():
            model = _Model.fit(history, start)
        while True:
            pool = _draw_pool(history, model.parents, rng)
            with start.limit_threads():
                chosen = history.keep_feasible([pool[i] for i in model.rank(pool)[:COUNTED]])
                ranked = model.rank(chosen, start.scale(count_logs(history, chosen)))
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
        experiences: What was learned from earlier searches.
    """

    encoder: "Encoder"
    first: list[Values]
    logs: "Array"
    controller: Any
    experiences: "list[Experience]"

    @classmethod
    def make(cls, history: History) -> "_Start":
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

        from cnnsearch.oracles.similarity import Encoder

        rng = make_stream(history.seed, 0, "first")
        drawn = [history.space.sample(rng) for _ in range(FIRST_DRAWS)]
        feasible = [values for values in drawn if history.check(values).is_feasible]
        first = sorted(feasible, key=lambda values: -(history.check(values).macs or 0))
        encoder = Encoder(history.space.parameters)
        learned = [Experience.learn(encoder, results) for results in history.earlier]
        logs = count_logs(history, first)
        return cls(encoder, first, logs, ThreadpoolController(), learned)

    def limit_threads(self) -> Any:
        """Returns a context with one thread: matrices this small take longer with more."""
        return self.controller.limit(limits=1)

    def scale(self, logs: "Array") -> "Array":
        """Returns log MACs in standard deviations of the first draws."""
        scaled: Array = (logs - self.logs.mean()) / (float(self.logs.std()) or 1.0)
        return scaled

    def list_features(self, points: "Points", macs: "Array") -> "Array":
        """Returns the (N, F) features with a linear effect: log MACs, and what was learned."""
        import numpy as np

        learned = [each.predict(points, macs) for each in self.experiences]
        return np.column_stack([macs, *learned])


def _draw_pool(history: History, parents: list[Values], rng: Random) -> list[Values]:
    parameters = history.space.parameters
    drawn = [history.space.sample(rng) for _ in range(SAMPLED)]
    for _ in range(MUTATED):
        changes = 1 + (rng.random() < 0.4) + (rng.random() < 0.4)
        drawn.append(mutate(parameters, rng.choice(parents), rng, changes))
    return drawn


@dataclass(frozen=True)
class _Model:
    """A fitted process.

    Attributes:
        start: Of the search.
        observed: The trials that it is fitted to.
        features: Theirs with a linear effect, (N, F).
        root: Cholesky factor of their covariance.
        weights: Their coefficients in the posterior mean.
        slopes: Of log MACs in the levels of a point, with a last one for the constant.
        incumbent: The highest posterior mean of a trial.
        parents: The best trials by posterior mean and rank.
    """

    start: _Start
    observed: "Points"
    features: "Array"
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

        points, ranks = observe(history)
        macs = start.scale(count_logs(history, points))
        observed = start.encoder.encode(points)
        features = start.list_features(observed, macs)
        kernel = correlate(observed, features, observed, features)
        root: Array = np.asarray(np.linalg.cholesky(kernel + NOISE * np.eye(len(ranks))))
        expected = SLOPE * features.sum(axis=1)
        weights = cho_solve((root, True), ranks - expected)
        posterior = expected + kernel @ weights
        best = np.argsort(-(posterior + ranks), kind="stable")[:PARENTS]
        known = np.concatenate([observed.levels, start.encoder.encode(start.first).levels])
        slopes = _regress(known, np.concatenate([macs, start.scale(start.logs)]))
        parents, incumbent = [points[i] for i in best], float(posterior.max())
        return cls(start, observed, features, root, weights, slopes, incumbent, parents)

    def rank(self, pool: list[Values], macs: "Array | None" = None) -> list[int]:
        """Returns the places of a pool's candidates by expected improvement, the best first."""
        import numpy as np

        if not pool:
            return []
        return [int(i) for i in np.argsort(-self.expect_improvement(pool, macs), kind="stable")]

    def expect_improvement(self, pool: list[Values], macs: "Array | None" = None) -> "Array":
        """Returns the expected improvement of candidates over the incumbent, in ranks.

        Args:
            pool: The candidates.
            macs: Their log MACs, scaled; None: predicted, which takes a tenth of the time.
        """
        import numpy as np
        from scipy.linalg import solve_triangular
        from scipy.special import ndtr

        asked = self.start.encoder.encode(pool)
        if macs is None:
            macs = asked.levels @ self.slopes[:-1] + self.slopes[-1]
        features = self.start.list_features(asked, macs)
        cross = correlate(asked, features, self.observed, self.features)
        mean = SLOPE * features.sum(axis=1) + cross @ self.weights
        explained = (solve_triangular(self.root, cross.T, lower=True) ** 2).sum(axis=0)
        deviation = np.sqrt(np.maximum(1.0 + (features**2).sum(axis=1) - explained, 1e-9))
        gain = (mean - self.incumbent) / deviation
        density = np.exp(-(gain**2) / 2) / np.sqrt(2 * np.pi)
        improvement: Array = deviation * (gain * ndtr(gain) + density)
        return improvement


def _regress(levels: "Array", macs: "Array") -> "Array":
    """Returns the coefficients of a ridge regression of log MACs, the constant last."""
    import numpy as np

    center = levels.mean(axis=0)
    spread = levels - center
    solved = np.linalg.solve(spread @ spread.T + 0.1 * np.eye(len(macs)), macs - macs.mean())
    slopes = spread.T @ solved
    return np.append(slopes, macs.mean() - center @ slopes)


def observe(history: History) -> tuple[list[Values], "Array"]:
    """Returns the trials to fit to and their ranks, with zero mean and unit variance.

    Failed trials have the lowest rank; running ones the middle, so that parallel workers are not
    sent to the same place.
    """
    import numpy as np

    ended = [trial for trial in history.trials.values() if trial.status != "RUNNING"]
    scores = {t.id: -np.inf if t.score is None else t.score for t in ended}
    by_score = sorted(scores, key=lambda trial_id: -scores[trial_id])
    kept = {*list(scores)[-RECENT:], *by_score[:BEST]}
    known = [trial_id for trial_id in scores if trial_id in kept]
    ranks = rank_scores([scores[trial_id] for trial_id in known])
    running = [trial.id for trial in history.trials.values() if trial.status == "RUNNING"]
    points = [history.trials[trial_id].values for trial_id in [*known, *running]]
    return points, np.concatenate([ranks, np.zeros(len(running))])
