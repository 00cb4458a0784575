"""Bayesian optimization: Keras Tuner's Gaussian process, with candidates that can be proposed."""

import warnings
from collections.abc import Iterator
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from cnnsearch.oracles._keras_tuner import BayesianOptimizationOracle, Trial
from cnnsearch.oracles.base import DurableOracle
from cnnsearch.oracles.points import Values, mutate
from cnnsearch.oracles.protocol import Setup

FloatArray = npt.NDArray[np.float64]

NOISE = 1e-3  # variance of the score's noise, as a fraction of the scores' variance
EXPLORATION = 2.0  # standard deviations added to the mean
SAMPLED, MUTATED, PARENTS = 100, 700, 10  # the pool: random candidates, and children of the best
RANKED = 50  # best of a pool that are tried before another pool is drawn
EMBEDDED = 1024  # embedded values remembered for each hyperparameter
OBSERVED = 400  # trials that the process is fitted to: the latest, and the best


class BayesianOracle(DurableOracle, BayesianOptimizationOracle):
    """Upper confidence bound of a Gaussian process, maximized over a pool.

    Keras Tuner climbs the bound in a continuous box, which takes seconds and ends at points that
    were proposed before, are over the budget or, behind a condition, make no difference. Here the
    pool holds points of the space itself, ranked by the bound; the best that is new and within the
    budget is proposed. Running trials count as if they had the mean score, failed ones as the
    worst.
    """

    strategy = "bayesian"

    def __init__(self, setup: Setup) -> None:
        self._vectors: dict[str, FloatArray] = {}
        super().__init__(setup, alpha=NOISE, beta=EXPLORATION)
        self._axes = [
            (hp.name, lru_cache(EMBEDDED)(hp.value_to_prob), hp.value_to_prob(hp.default))
            for hp in self._nonfixed_space()
        ]

    def _make_gpr(self) -> Any:
        gpr = super()._make_gpr()
        gpr.n_restarts_optimizer = 1
        return gpr

    def candidates(self, rng: Random) -> Iterator[Values]:
        """Yields random candidates at first, then the best of one pool after another."""
        completed = self.completed()
        if not self._axes or len(completed) < 10 + len(self._axes) // 4:
            yield from super().candidates(rng)
        self._fit(completed)
        best = sorted(completed, key=lambda trial: -(trial.score or 0.0))[:PARENTS]
        parents = [self.values(trial) for trial in best]
        while True:
            pool = self._pool(parents, rng)
            with threadpool_limits(1):
                mean, deviation = self.gpr.predict(np.array([self._vector(v) for v in pool]), True)
            bound = mean + self.beta * deviation
            yield from (pool[i] for i in np.argsort(-bound, kind="stable")[:RANKED])

    def _pool(self, parents: list[Values], rng: Random) -> list[Values]:
        parameters = self.setup.space.parameters
        sampled = [self.setup.space.sample(rng) for _ in range(SAMPLED)]
        mutated = (
            mutate(parameters, rng.choice(parents), rng, rng.randint(1, 3)) for _ in range(MUTATED)
        )
        return sampled + list(mutated)

    def _fit(self, completed: list[Trial]) -> None:
        """Fits the process to what is known: scores, failures, and guesses for running trials."""
        scores = {trial.trial_id: float(trial.score or 0.0) for trial in completed}
        worst, mean = min(scores.values()), sum(scores.values()) / len(scores)
        by_score = sorted(self.trials, key=lambda i: -scores.get(i, worst))
        kept = {*list(self.trials)[-OBSERVED * 3 // 4 :], *by_score[: OBSERVED // 4]}
        trials = [trial for trial in self.trials.values() if trial.trial_id in kept]
        guess = {"RUNNING": mean, "FAILED": worst}
        y = [scores.get(t.trial_id, guess.get(t.status, worst)) for t in trials]
        # Matrices this small are solved faster by one thread, and much faster on a busy machine.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")  # a length scale at its bound is no news
            self.gpr.fit(np.array([self._vector_of(t) for t in trials]), np.array(y))

    def _vector_of(self, trial: Trial) -> FloatArray:
        if trial.trial_id not in self._vectors:
            self._vectors[trial.trial_id] = self._vector(self.values(trial))
        return self._vectors[trial.trial_id]

    def _vector(self, values: Values) -> FloatArray:
        """Embeds a candidate in the unit cube as Keras Tuner does: inactive values at defaults."""
        return np.array(
            [embed(values[name]) if name in values else at for name, embed, at in self._axes]
        )
