"""Bayesian optimization: a Gaussian process over candidates that can be proposed."""

import math
import warnings
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any

from cnnsearch.oracles.points import Values, is_fixed, make_stream, mutate
from cnnsearch.oracles.strategy import History, Strategy

if TYPE_CHECKING:
    from cnnsearch.space.choices import Parameter

NOISE = 1e-3  # variance of the score's noise, as a fraction of the scores' variance
EXPLORATION = 2.0  # standard deviations added to the mean
SAMPLED, MUTATED, PARENTS = 100, 700, 10  # the pool: random candidates, and children of the best
RANKED = 50  # best of a pool that are tried before another pool is drawn
OBSERVED = 400  # trials that the process is fitted to: the latest, and the best


class BayesianOptimization(Strategy):
    """Upper confidence bound of a Gaussian process (Srinivas et al., 2010), maximized over a pool.

    Climbing the bound in a continuous box, as Keras Tuner does, takes seconds and ends at points
    that were proposed before, are over the budget or, behind a condition, make no difference. Here
    the pool holds points of the space itself, ranked by the bound. Running trials count as if they
    had the mean score, failed ones as the worst.
    """

    name = "bayesian"
    summary = "a Gaussian process and its upper confidence bound"
    paper = "0912.3995"
    is_guided = True

    def suggest(self, history: History, rng: Random) -> Iterator[Values]:
        """Yields random candidates at first, then the best of one pool after another."""
        import numpy as np
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        axes = [p for p in history.space.parameters if p.kind != "choice" or not is_fixed(p)]
        if not axes or len(history.completed) < 10 + len(axes) // 4:
            yield from super().suggest(history, rng)
        process = _fit(axes, history)
        best = sorted(history.completed, key=lambda trial: -(trial.score or 0.0))[:PARENTS]
        while True:
            pool = _draw_pool(history, [trial.values for trial in best], rng)
            with threadpool_limits(1):
                points = np.array([_embed(axes, values) for values in pool])
                mean, deviation = process.predict(points, return_std=True)
            bound = mean + EXPLORATION * deviation
            yield from (pool[i] for i in np.argsort(-bound, kind="stable")[:RANKED])


def _draw_pool(history: History, parents: list[Values], rng: Random) -> list[Values]:
    parameters = history.space.parameters
    sampled = [history.space.sample(rng) for _ in range(SAMPLED)]
    mutated = (
        mutate(parameters, rng.choice(parents), rng, rng.randint(1, 3)) for _ in range(MUTATED)
    )
    return [*sampled, *mutated]


def _fit(axes: "list[Parameter]", history: History) -> Any:
    """Returns a process fitted to scores, failures, and guesses for the running trials."""
    import numpy as np
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern
    from threadpoolctl import threadpool_limits

    observed = _observe(history)
    points = np.array([_embed(axes, history.trials[trial_id].values) for trial_id in observed])
    process = GaussianProcessRegressor(
        kernel=Matern(nu=2.5), n_restarts_optimizer=1, normalize_y=True, alpha=NOISE,
        random_state=make_stream(history.seed, 0).randrange(1, 2**31),
    )  # fmt: skip
    # Matrices this small are solved faster by one thread, and much faster on a busy machine.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # a length scale at its bound is no news
        return process.fit(points, np.array(list(observed.values())))


def _observe(history: History) -> dict[str, float]:
    """Returns the scores, known or guessed, of the trials to fit to, in order of proposal."""
    scores = {trial.id: float(trial.score or 0.0) for trial in history.completed}
    worst, mean = min(scores.values()), sum(scores.values()) / len(scores)
    ids = list(history.trials)
    by_score = sorted(ids, key=lambda i: -scores.get(i, worst))
    kept = {*ids[-OBSERVED * 3 // 4 :], *by_score[: OBSERVED // 4]}
    guess = {"RUNNING": mean, "FAILED": worst}
    return {i: scores.get(i, guess.get(history.trials[i].status, worst)) for i in ids if i in kept}


def _embed(axes: "list[Parameter]", values: Values) -> list[float]:
    """Maps a candidate into the unit cube; inactive parameters count as their first value."""
    return [_to_unit(axis, values.get(axis.name, axis.list_edges()[0])) for axis in axes]


def _to_unit(parameter: "Parameter", value: Any) -> float:
    """Returns the middle of the share of [0, 1] that a value has among all of its parameter's."""
    if parameter.kind == "choice":
        if isinstance(value, bool):
            return 0.75 if value else 0.25
        return (parameter.options.index(value) + 0.5) * (1 / len(parameter.options))
    low, high = parameter.low, parameter.high
    if parameter.kind == "int":
        value, high = value + 0.5, high + 1
    if high == low:
        return 0.5
    if parameter.log:
        return math.log(value / low) / math.log(high / low)
    return float((value - low) / (high - low))
