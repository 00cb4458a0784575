"""A search ends when a further candidate is unlikely to be better, and not before."""

import random
from typing import Any

import pytest

from cnnsearch.oracles.protocol import DONE, WAIT, Feasibility, Proposal
from cnnsearch.oracles.stopping import FEWEST, PATIENCE, StopWhenEnough, expect_gain
from cnnsearch.oracles.strategy import History, Trial

from .helpers import Space, Store, accept, choice, make

CHOICES = Space(tuple(choice(f"c{i}", "a", "b", "c") for i in range(6)))


def make_history(points: list[dict[str, str]], noise: float) -> History:
    """Candidates whose score is the number of c's, and noise."""
    rng = random.Random(0)
    done = [
        Trial(f"{i:04}", v, "COMPLETED", list(v.values()).count("c") + rng.gauss(0.0, noise))
        for i, v in enumerate(points)
    ]
    trials = {trial.id: trial for trial in done}
    return History(CHOICES, trials, done, 1, None, True, 0, accept, lambda pool: pool)


def test_little_is_expected_once_the_best_region_is_known() -> None:
    rng = random.Random(1)
    anywhere = [CHOICES.sample(rng) for _ in range(30)]
    poor = [v for v in anywhere if list(v.values()).count("c") <= 2]
    best = [
        {**dict.fromkeys(v, "c"), f"c{i % 6}": "ab"[i // 6]} for i, v in enumerate(anywhere[:12])
    ]
    top = dict.fromkeys(poor[0], "c")
    rising, settled = make_history(poor, 0.3), make_history([*poor, *best, top], 0.3)
    assert expect_gain(rising, rising.completed) > 5 * expect_gain(settled, settled.completed)


def drive(oracle: Any, score: Any, limit: int = 60) -> int:
    """Runs one trial after the other; returns how many."""
    for number in range(limit):
        proposal = oracle.propose("slot")
        if not isinstance(proposal, Proposal):
            return number
        oracle.complete(proposal.trial_id, score(proposal.values))
    return limit


def test_pure_noise_ends_the_search_soon() -> None:
    rng = random.Random(0)
    oracle = StopWhenEnough(make("random", CHOICES, max_trials=None))
    ended = drive(oracle, lambda values: rng.gauss(0.5, 0.1), limit=120)
    assert FEWEST + PATIENCE <= ended + 1 <= 100
    assert oracle.propose("slot") is DONE and oracle.reason == "enough"


def test_it_ends_at_the_same_trial_after_a_restart() -> None:
    def search(restarting: bool) -> int:
        rng, store = random.Random(0), Store()
        oracle = StopWhenEnough(make("random", CHOICES, max_trials=None, store=store))
        for number in range(120):
            if restarting:
                oracle = StopWhenEnough(make("random", CHOICES, max_trials=None, store=store))
            proposal = oracle.propose("slot")
            if not isinstance(proposal, Proposal):
                return number
            oracle.complete(proposal.trial_id, rng.gauss(0.5, 0.1))
        return 120

    assert search(restarting=False) == search(restarting=True) < 120


def test_running_trials_end_first(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = StopWhenEnough(make("random", CHOICES))
    one, other = oracle.propose("a"), oracle.propose("b")
    monkeypatch.setattr(oracle, "_has_enough", lambda history: True)
    assert oracle.propose("a") == one and oracle.propose("c") is WAIT
    oracle.complete(one.trial_id, 0.5)
    assert oracle.propose("a") is WAIT and oracle.reason is None
    oracle.fail(other.trial_id, "loss is nan")
    assert oracle.propose("a") is DONE and oracle.reason == "enough"


def test_a_pool_without_a_feasible_candidate_promises_nothing() -> None:
    history = make_history([CHOICES.sample(random.Random(i)) for i in range(20)], 0.1)
    nothing = Feasibility(False, "budget", str)
    tight = History(
        CHOICES, history.trials, history.completed, 1, None, True, 0, lambda v: nothing, list
    )
    assert expect_gain(tight, tight.completed) == 0.0


def test_it_ends_soon_after_the_best_was_found() -> None:
    rng = random.Random(3)
    oracle = StopWhenEnough(make("surrogate", CHOICES, max_trials=None))
    seen: list[int] = []

    def score(values: dict[str, str]) -> float:
        seen.append(list(values.values()).count("c"))
        return seen[-1] / 6 + rng.gauss(0.0, 0.05)

    assert drive(oracle, score) < 60
    assert max(seen) == 6
