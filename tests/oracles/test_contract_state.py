"""What every strategy promises of its state: kills, restarts, transactions."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from cnnsearch.errors import RunError
from cnnsearch.oracles.protocol import Proposal
from tests.oracles.test_contract import fresh

from .helpers import (
    Space,
    Store,
    budget,
    drive,
    finish,
    make,
    mixed_space,
    score,
)


def test_a_slot_gets_its_running_trial_again(strategy: str) -> None:
    oracle = make(strategy)
    one, other = oracle.propose("a"), oracle.propose("b")
    assert oracle.propose("a") == one != other
    finish(oracle, one)
    assert oracle.propose("a") not in (one, other)


def test_only_running_trials_end_and_only_once(strategy: str) -> None:
    oracle = make(strategy)
    proposal = oracle.propose("slot")
    finish(oracle, proposal)
    for trial_id in (proposal.trial_id, "0099"):
        with pytest.raises(ValueError, match=f"trial '{trial_id}' is not running"):
            oracle.fail(trial_id, "again")


def test_each_call_is_one_transaction(strategy: str) -> None:
    store = Store()
    oracle = make(strategy, store=store)
    proposal = oracle.propose("slot")
    assert store.saves == 1
    finish(oracle, proposal)
    assert store.saves == 2


@pytest.mark.parametrize("slots", [1, 3])
def test_killed_at_any_instant_it_resumes_as_if_undisturbed(strategy: str, slots: int) -> None:
    space, options = mixed_space(), {"check": budget(20_000), "max_trials": 24}
    undisturbed = drive(make(strategy, space, **options), slots=slots, failing=0.2)
    again = _drive_killed(strategy, space, options, slots)
    assert [p.values for p in again] == [p.values for p in undisturbed]
    assert [p.trial_id for p in again] == [p.trial_id for p in undisturbed]
    assert [p.continues for p in again] == [p.continues for p in undisturbed]


def _drive_killed(strategy: str, space: Space, options: Any, slots: int) -> list[Proposal]:
    """As ``drive``, but with a new process, as it were, before every single call."""
    import random

    rng, store = random.Random(0), Store()
    running: dict[str, Proposal] = {}
    seen: list[Proposal] = []
    while True:
        for slot in (f"slot{i}" for i in range(slots)):
            if slot in running:
                continue
            oracle = make(strategy, space, store=store, **options)
            for other in sorted(running, key=lambda s: running[s].number):
                again = oracle.propose(other)
                assert again.repeated
                assert (again.trial_id, again.values) == (
                    running[other].trial_id,
                    running[other].values,
                )
            answer = oracle.propose(slot)
            if isinstance(answer, Proposal):
                assert not answer.repeated
                running[slot] = answer
                seen.append(answer)
        if not running:
            return seen
        oracle = make(strategy, space, store=store, **options)
        finish(oracle, running.pop(rng.choice(sorted(running))), failing=0.2)


def test_running_trials_come_first_after_a_restart_and_in_order(strategy: str) -> None:
    store = Store()
    oracle = make(strategy, store=store)
    lost = [oracle.propose(f"slot{i}") for i in range(3)]
    finish(oracle, lost.pop(1))
    oracle = make(strategy, store=store.copy())
    back = [oracle.propose(f"other{i}") for i in range(2)]
    assert [(p.trial_id, p.values) for p in back] == [(p.trial_id, p.values) for p in lost]
    assert oracle.propose("third").number == 4


def test_counts_of_draws_survive_a_restart(strategy: str) -> None:
    store = Store()
    oracle = make(strategy, store=store, check=budget(6000), max_trials=12)
    drive(oracle)
    assert make(strategy, store=store, check=budget(6000), max_trials=12).draws == oracle.draws


def test_more_trials_may_be_requested_later(strategy: str) -> None:
    store = Store()
    drive(make(strategy, store=store, max_trials=10))
    more = drive(make(strategy, store=store, max_trials=16))
    assert len(fresh(more)) == 6


def test_a_state_of_another_search_is_refused(strategy: str) -> None:
    store = Store()
    make(strategy, store=store).propose("slot")
    with pytest.raises(RunError, match="started with seed 7 and cannot be resumed with 8"):
        make(strategy, store=store, seed=8)
    with pytest.raises(RunError, match=f"started with strategy '{strategy}' and cannot"):
        make("grid" if strategy == "random" else "random", store=store)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras Tuner's threading.currentThread
def test_a_keras_tuner_tuner_takes_the_oracle(strategy: str, tmp_path: Path) -> None:
    """The loop is Keras Tuner's own; the candidates are those of our driver."""
    from keras_tuner.engine.base_tuner import BaseTuner

    class Tuner(BaseTuner):  # type: ignore[misc]
        seen: ClassVar[list[Any]] = []

        def run_trial(self, trial: Any) -> dict[str, float]:
            epochs = trial.hyperparameters.values.get("tuner/epochs", 9)
            self.seen.append(trial.trial_id)
            values = {p.name: trial.hyperparameters.values[p.name] for p in mixed_space().parameters
                      if p.name in trial.hyperparameters.values}  # fmt: skip
            return {"val_accuracy": score(values) + epochs / 1000}

    tuner = Tuner(make(strategy, max_trials=6), directory=str(tmp_path), project_name="p")
    tuner.search()
    assert tuner.seen == [p.trial_id for p in drive(make(strategy, max_trials=6))]
    best = tuner.oracle.get_best_trials(1)[0]
    assert best.score == max(trial.score for trial in tuner.oracle.trials.values())
