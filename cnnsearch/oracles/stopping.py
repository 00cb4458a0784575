"""Ends a search when a further candidate is unlikely to be better."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnsearch.oracles.points import Values, make_stream, mutate
from cnnsearch.oracles.protocol import DONE, WAIT, Draws, Oracle, Proposal, Signal
from cnnsearch.oracles.recommendation import (
    FITTED,
    NOISES,
    OWN,
    Design,
    correlate,
    fit_all,
    standardize,
)
from cnnsearch.oracles.strategy import History, Trial

if TYPE_CHECKING:
    from cnnsearch.oracles.search_oracle import SearchOracle

FEWEST = 15  # completed trials before the first judgement
PATIENCE = 5  # judgements in a row, each after one more completed trial
THRESHOLD = 0.1  # expected improvement, in standard deviations of a score's noise
NOISIEST = (5.0, 30.0)  # variances beside those of a recommendation: scores may be noise alone
SAMPLED, MUTATED, PARENTS = 50, 150, 8  # the pool: random candidates, and children of the best


class StopWhenEnough:
    """An oracle that proposes what another does until a further candidate is unlikely to pay.

    A Gaussian process on the scores, as for the recommended candidate, predicts how much better
    than the best trial each candidate of a pool will be. The search ends once the largest expected
    improvement was below a tenth of the scores' noise after five trials in a row. This is a
    function of the trials: nothing has to be stored.

    Args:
        oracle: Of the strategy; knows the trials.
        first: Proposes, if that is not the strategy's oracle itself but one in front of it.
    """

    def __init__(self, oracle: "SearchOracle", first: Oracle | None = None) -> None:
        self._oracle, self._first = oracle, first or oracle
        self._gains: dict[int, float] = {}  # by the number of completed trials
        self._reason: str | None = None

    @property
    def draws(self) -> Draws:
        """Those of the oracle."""
        return self._oracle.draws

    @property
    def reason(self) -> str | None:
        """``enough``, or why the oracle proposes none."""
        return self._reason or self._oracle.reason

    def propose(self, slot: str) -> Proposal | Signal:
        """Returns the next candidate; once the search has enough, only trials begun before."""
        history, ongoing = self._oracle.make_history(), self._oracle.ongoing_trials
        running = sum(trial.status == "RUNNING" for trial in history.trials.values())
        if slot in ongoing or running > len(ongoing) or not self._has_enough(history):
            return self._first.propose(slot)
        if running:
            return WAIT
        self._reason = "enough"
        return DONE

    def _has_enough(self, history: History) -> bool:
        done = len(history.completed)
        last = range(done, done - PATIENCE, -1)
        return last[-1] >= FEWEST and all(self._find_gain(history, n) < THRESHOLD for n in last)

    def _find_gain(self, history: History, completed: int) -> float:
        if completed not in self._gains:
            trials = history.completed[:completed]
            self._gains[completed] = expect_gain(history, trials)
        return self._gains[completed]

    def complete(self, trial_id: str, score: float) -> None:
        """Records the score of a running trial."""
        self._first.complete(trial_id, score)

    def fail(self, trial_id: str, reason: str) -> None:
        """Records that a running trial ended without a score."""
        self._first.fail(trial_id, reason)


def expect_gain(history: History, trials: Sequence[Trial]) -> float:
    """Returns the largest expected improvement of a pool, in standard deviations of the noise."""
    import numpy as np
    from scipy.linalg import solve_triangular
    from scipy.stats import norm

    ranked = sorted(trials, key=lambda trial: -(trial.score or 0.0))[:FITTED]
    scores = standardize([trial.score or 0.0 for trial in ranked])
    pool = _draw_pool(history, ranked)
    if not pool:
        return 0.0
    if not scores.any():  # all alike: nothing is known of the noise
        return float("inf")
    design = Design.make(history, ranked)
    fit = max(fit_all(design, scores, (*NOISES, *NOISIEST)), key=lambda fit: fit.likelihood)
    linear, distance, variance = design.compare(pool)
    cross = correlate(linear, distance, fit.scale)
    explained = (solve_triangular(fit.root, cross.T, lower=True) ** 2).sum(axis=0)
    own = OWN * fit.noise  # what no process knows of a candidate beforehand
    known = variance + (fit.scale is not None) - explained
    scale = float(scores @ fit.weights) / len(scores)  # the likeliest unit of all variances
    deviation = np.sqrt(scale * (np.maximum(known, 0.0) + own))
    best = float((fit.means + OWN * (scores - fit.means)).max())
    ahead = (cross @ fit.weights - best) / deviation
    improvement = deviation * (ahead * norm.cdf(ahead) + norm.pdf(ahead))
    return float(improvement.max() / np.sqrt(scale * (1.0 - OWN) * fit.noise))


def _draw_pool(history: History, ranked: Sequence[Trial]) -> list[Values]:
    """Returns candidates within the budget that are no trials."""
    rng = make_stream(history.seed, len(ranked), "enough")
    parents = [trial.values for trial in ranked[:PARENTS]]
    parameters = history.space.parameters
    drawn = [history.space.sample(rng) for _ in range(SAMPLED)]
    drawn += [
        mutate(parameters, rng.choice(parents), rng, rng.randint(1, 3)) for _ in range(MUTATED)
    ]
    seen = {tuple(trial.values.items()) for trial in ranked}
    return [v for v in drawn if tuple(v.items()) not in seen and history.check(v).is_feasible]
