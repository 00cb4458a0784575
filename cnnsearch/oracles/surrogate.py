"""A Gaussian process on ranks that knows what each candidate costs before it is trained."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from cnnsearch.oracles.points import Values, is_fixed, make_stream, mutate, to_unit
from cnnsearch.oracles.strategy import History, Strategy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cnnsearch.space.choices import Parameter

    Array = npt.NDArray[np.float64]

FIRST_DRAWS = 50  # random candidates, of which the first trials are the most expensive
SAMPLED, MUTATED, PARENTS = 33, 67, 8  # a pool: random candidates, and children of the best
SCALE = 0.6  # share of differing values over which the correlation falls to 1/e
NOISE = 0.6  # variance of a rank's noise; that of the ranks is 1
SLOPE = 0.5  # prior gain in rank, in standard deviations, of one in log MACs
RECENT, BEST = 200, 100  # trials that the process is fitted to


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

    def suggest(self, history: History, rng: Random) -> Iterator[Values]:
        """Yields the most expensive of random draws, then pools ranked by expected improvement."""
        first = _draw_first(history)
        if not history.completed or not first:
            yield from first
            yield from super().suggest(history, rng)
        model = _Model.fit(history, first)
        while True:
            pool = _draw_pool(history, model.parents, rng)
            yield from (pool[i] for i in model.rank(history, pool))
            if not pool:
                yield history.space.sample(rng)


def _draw_first(history: History) -> list[Values]:
    """Returns random candidates within the budget, the most expensive first."""
    rng = make_stream(history.seed, 0, "first")
    drawn = [history.space.sample(rng) for _ in range(FIRST_DRAWS)]
    feasible = [values for values in drawn if history.check(values).is_feasible]
    return sorted(feasible, key=lambda values: -(history.check(values).macs or 0))


def _draw_pool(history: History, parents: list[Values], rng: Random) -> list[Values]:
    parameters = history.space.parameters
    drawn = [history.space.sample(rng) for _ in range(SAMPLED)]
    for _ in range(MUTATED):
        changes = 1 + (rng.random() < 0.4) + (rng.random() < 0.4)
        drawn.append(mutate(parameters, rng.choice(parents), rng, changes))
    return history.keep_feasible(drawn)


@dataclass(frozen=True)
class _Features:
    """Candidates as arrays: (N, P) values in [0, 1], (N, P) whether active, (N,) log MACs."""

    values: "Array"
    active: "Array"
    macs: "Array"


@dataclass(frozen=True)
class _Model:
    """A fitted process; ``parents`` are the best trials by its posterior and their own rank."""

    parameters: "list[Parameter]"
    center: float
    spread: float
    observed: _Features
    root: "Array"
    weights: "Array"
    incumbent: float
    parents: list[Values]

    @classmethod
    def fit(cls, history: History, first: list[Values]) -> "_Model":
        """Fits the process to the trials, MACs in standard deviations of the first draws."""
        import numpy as np
        from scipy.linalg import cho_solve

        parameters = [p for p in history.space.parameters if not is_fixed(p)]
        logs = np.log([history.check(values).macs or 1 for values in first])
        center, spread = float(logs.mean()), float(logs.std()) or 1.0
        points, ranks = _observe(history)
        observed = _encode(parameters, points, history, center, spread)
        kernel = _correlate(parameters, observed, observed)
        root: Array = np.asarray(np.linalg.cholesky(kernel + NOISE * np.eye(len(ranks))))
        weights = cho_solve((root, True), ranks - SLOPE * observed.macs)
        posterior = SLOPE * observed.macs + kernel @ weights
        best = np.argsort(-(posterior + ranks), kind="stable")[:PARENTS]
        parents = [points[i] for i in best]
        incumbent = float(posterior.max())
        return cls(parameters, center, spread, observed, root, weights, incumbent, parents)

    def rank(self, history: History, pool: list[Values]) -> list[int]:
        """Returns the places of a pool's candidates by expected improvement, the best first."""
        import numpy as np
        from scipy.linalg import solve_triangular
        from scipy.stats import norm

        if not pool:
            return []
        asked = _encode(self.parameters, pool, history, self.center, self.spread)
        cross = _correlate(self.parameters, asked, self.observed)
        mean = SLOPE * asked.macs + cross @ self.weights
        explained = (solve_triangular(self.root, cross.T, lower=True) ** 2).sum(axis=0)
        deviation = np.sqrt(np.maximum(1.0 + asked.macs**2 - explained, 1e-9))
        gain = (mean - self.incumbent) / deviation
        improvement = deviation * (gain * norm.cdf(gain) + norm.pdf(gain))
        return [int(i) for i in np.argsort(-improvement, kind="stable")]


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


def _encode(
    parameters: "list[Parameter]",
    points: list[Values],
    history: History,
    center: float,
    spread: float,
) -> _Features:
    import numpy as np

    values = [[_place(p, v[p.name]) if p.name in v else 0.0 for p in parameters] for v in points]
    active = [[float(p.name in v) for p in parameters] for v in points]
    macs = np.log([history.check(v).macs or 1 for v in points])
    return _Features(np.array(values), np.array(active), (macs - center) / spread)


def _place(parameter: "Parameter", value: Any) -> float:
    """Returns the place of a value among its parameter's, from 0 to 1."""
    if parameter.kind != "choice":
        return to_unit(parameter, value)
    options = sorted(parameter.options) if parameter.ordered else parameter.options
    return options.index(value) / (len(options) - 1)


def _correlate(parameters: "list[Parameter]", a: _Features, b: _Features) -> "Array":
    """Returns the (N, M) prior covariance of two sets of candidates.

    Alike are the values of choices if equal, of numbers and ordered options the more the nearer;
    the mean is over the hyperparameters that are active in one candidate at least.
    """
    import numpy as np

    alike, either = np.zeros((2, len(a.macs), len(b.macs)))
    for k, parameter in enumerate(parameters):
        distance = np.abs(a.values[:, k, None] - b.values[None, :, k])
        unordered = parameter.kind == "choice" and not parameter.ordered
        both = a.active[:, k, None] * b.active[None, :, k]
        alike += both * ((distance == 0) if unordered else 1.0 - distance)
        either += np.maximum(a.active[:, k, None], b.active[None, :, k])
    covariance: Array = np.exp((alike / np.maximum(either, 1) - 1) / SCALE)
    return covariance + np.outer(a.macs, b.macs)
