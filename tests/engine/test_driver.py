"""The loop of a search, with an executor that trains nothing."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnsearch.architecture.cost import Budget
from cnnsearch.errors import BudgetError, RunError
from cnnsearch.oracles import STRATEGIES
from cnnsearch.training.messages import (
    Failed,
    Fault,
    Outcome,
    TrialTask,
)
from tests.engine.fake_driver import FakeExecutor, Search, by_size, proposals


def test_every_candidate_is_journalled_with_its_cost_and_score(tmp_path: Path) -> None:
    executor = FakeExecutor()
    search = Search(tmp_path)
    assert search(executor) == "trials"
    trials = search.trials_of()
    assert [t.number for t in trials] == list(range(1, 13))
    assert all(t.status == "completed" and t.params > 0 and t.macs > 0 for t in trials)
    assert all(t.recipe["epochs"] == 3 for t in trials)
    with search.run() as run:
        assert run.db.get_history(trials[0].id)[0]["val_accuracy"] == 0.5


@pytest.mark.parametrize("strategy", [s.name for s in STRATEGIES])
def test_same_seed_same_candidates_same_order(tmp_path: Path, strategy: str) -> None:
    first, second, other = FakeExecutor(), FakeExecutor(), FakeExecutor()
    Search(tmp_path / "a", strategy=strategy)(first)
    Search(tmp_path / "b", strategy=strategy)(second)
    assert proposals(first) == proposals(second)
    assert [t.seed for t in first.tasks] == [t.seed for t in second.tasks]
    if strategy != "grid":
        Search(tmp_path / "c", strategy=strategy, seed=1)(other)
        assert proposals(other) != proposals(first)


@pytest.mark.parametrize("strategy", ["evolution", "random", "bayesian", "grid"])
def test_no_candidate_is_trained_twice(tmp_path: Path, strategy: str) -> None:
    executor = FakeExecutor()
    search = Search(tmp_path, strategy=strategy, trials=500)
    assert search(executor) == "exhausted"
    assert len(set(proposals(executor))) == len(executor.tasks) == 5 * 4 * 4


def test_a_budget_redraws_and_counts(tmp_path: Path) -> None:
    executor = FakeExecutor()
    search = Search(tmp_path, budget=Budget(max_params=2000))
    search(executor)
    assert all(t.params <= 2000 and t.status == "completed" for t in search.trials_of())
    assert search.draws.over_budget > 0
    assert search.draws.drawn >= 12 + search.draws.over_budget


def test_a_budget_that_nothing_meets_names_the_smallest_cost(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match=r"\d"):
        Search(tmp_path, budget=Budget(max_params=10))(FakeExecutor())


def test_a_candidates_failure_is_recorded_and_the_search_continues(tmp_path: Path) -> None:
    def answer(task: TrialTask) -> Outcome:
        nan = int(task.trial_id) % 3 == 0
        return Failed("nan", "loss is nan in epoch 1") if nan else by_size(task)

    search = Search(tmp_path)
    assert search(FakeExecutor(answer)) == "trials"
    failed = [t for t in search.trials_of() if t.status == "failed"]
    assert len(failed) == 5  # each replaced: twelve are wanted that do not fail
    assert len(search.trials_of()) == 17
    assert failed[0].reason == "nan: loss is nan in epoch 1"
    assert failed[0].score is None


def test_what_no_candidate_can_help_stops_the_search_in_one_line(tmp_path: Path) -> None:
    def answer(task: TrialTask) -> Outcome:
        return Fault("runs/r/trials/0001: cannot be written: Read-only file system")

    with pytest.raises(RunError, match=r"^run 'r', trial 0+1: .*Read-only file system$"):
        Search(tmp_path)(FakeExecutor(answer))


def test_a_crash_is_tried_again_and_teaches_nothing(tmp_path: Path) -> None:
    def answer(task: TrialTask) -> Outcome:
        return by_size(task) if task.attempt == 3 else Failed("crash", "killed by signal 9")

    undisturbed, crashing = FakeExecutor(), FakeExecutor(answer)
    Search(tmp_path / "a")(undisturbed)
    search = Search(tmp_path / "b")
    search(crashing)
    assert [task.attempt for task in crashing.tasks] == [1, 2, 3] * 12
    assert proposals(crashing)[::3] == proposals(undisturbed)
    assert {trial.status for trial in search.trials_of()} == {"completed"}
    with search.run() as run:
        retried = run.db.get_events_of("trial_retried")
        assert len(retried) == 24
        assert retried[0].data["reason"] == "crash: killed by signal 9"
        assert len(run.db.get_events_of("epoch")) == 36  # the fake trains epoch 1 each time


def test_out_of_memory_is_tried_once_more_at_half_the_batch(tmp_path: Path) -> None:
    def answer(task: TrialTask) -> Outcome:
        small = int(task.trial_id) % 2 and task.accumulate == 2
        return by_size(task) if small else Failed("out_of_memory", "no memory left")

    search, executor = Search(tmp_path, trials=4), FakeExecutor(answer)
    search(executor)
    first = [(task.attempt, task.accumulate) for task in executor.tasks[:4]]
    assert first == [(1, 1), (2, 2), (1, 1), (2, 2)]
    statuses = [trial.status for trial in search.trials_of()]
    assert statuses[:2] == ["completed", "failed"]
    assert search.trials_of()[1].reason == "out_of_memory: no memory left"


def test_attempts_outlive_the_session(tmp_path: Path) -> None:
    search = Search(tmp_path, trials=1)
    first, second = FakeExecutor(), FakeExecutor()
    first.before = lambda number: os.kill(os.getpid(), signal.SIGINT) if number == 1 else None
    first.answer = lambda task: Failed("out_of_memory", "no memory left")
    assert search(first) == "interrupted"
    search(second)
    assert [(task.attempt, task.accumulate) for task in second.tasks] == [(2, 2)]


@pytest.mark.parametrize("kind", ["timeout", "out_of_memory", "nan", "crash"])
def test_five_failures_of_one_kind_in_a_row_stop_the_search(tmp_path: Path, kind: Any) -> None:
    executor = FakeExecutor(lambda task: Failed(kind, f"at layer {task.trial_id}"))
    with pytest.raises(RunError, match=rf"5 candidates in a row failed.* is {kind}: at layer") as e:
        Search(tmp_path)(executor)
    assert "\n" not in str(e.value)
    assert len({task.trial_id for task in executor.tasks}) == 5


def test_most_of_the_first_dozen_failing_stops_the_search(tmp_path: Path) -> None:
    kinds: list[Any] = ["timeout", "nan"]

    def answer(task: TrialTask) -> Outcome:
        number = int(task.trial_id)
        return Failed(kinds[number % 2], "why") if number % 5 else by_size(task)

    with pytest.raises(RunError, match="7 of the first 8 candidates failed"):
        Search(tmp_path)(FakeExecutor(answer))


def test_failures_without_limit_are_replaced(tmp_path: Path) -> None:
    search = Search(tmp_path, max_failures=0)
    search(FakeExecutor(lambda task: Failed("timeout", "killed after 1 seconds")))
    assert len(search.trials_of()) > 12


def test_out_of_memory_while_stopping_keeps_its_second_attempt(tmp_path: Path) -> None:
    def starve(task: TrialTask) -> Outcome:
        os.kill(os.getpid(), signal.SIGTERM)
        return Failed("out_of_memory", "no memory left")

    search, second = Search(tmp_path, trials=1), FakeExecutor()
    assert search(FakeExecutor(starve)) == "interrupted"
    assert search(second) == "trials"
    assert [(task.attempt, task.accumulate) for task in second.tasks] == [(2, 2)]
    assert [trial.status for trial in search.trials_of()] == ["completed"]


def test_three_deaths_of_one_cause_stop_the_search_in_one_line(tmp_path: Path) -> None:
    executor = FakeExecutor(lambda task: Failed("crash", "killed by signal 11 (SIGSEGV)"))
    with pytest.raises(RunError, match=r"3 candidates in a row died of the same cause: killed by"):
        Search(tmp_path)(executor)
    assert len(executor.tasks) == 9  # each of them three times


@pytest.mark.parametrize("strategy", [s.name for s in STRATEGIES])
def test_an_interrupted_search_resumes_to_the_same_result(tmp_path: Path, strategy: str) -> None:
    undisturbed = FakeExecutor()
    Search(tmp_path / "a", strategy=strategy)(undisturbed)

    def interrupt(number: int) -> None:
        if number == 4:
            os.kill(os.getpid(), signal.SIGINT)

    search = Search(tmp_path / "b", strategy=strategy)
    first, second = FakeExecutor(before=interrupt), FakeExecutor()
    assert search(first) == "interrupted"
    search(second)
    repeated = {t.trial_id: t.architecture.to_json() for t in [*first.tasks, *second.tasks]}
    assert list(repeated.values()) == proposals(undisturbed)
    finished = [t for t in search.trials_of() if t.status == "completed"]
    assert len(finished) == len(undisturbed.tasks)
    assert len(first.tasks) + len(second.tasks) <= len(undisturbed.tasks) + 1


def test_a_trial_that_dies_of_the_same_signal_as_the_driver_has_not_failed(tmp_path: Path) -> None:
    def preempted(task: TrialTask) -> Outcome:
        os.kill(os.getpid(), signal.SIGTERM)
        return Failed("crash", "killed by signal 15 (SIGTERM)")

    search = Search(tmp_path, trials=2)
    for _ in range(5):
        assert search(FakeExecutor(preempted)) == "interrupted"
    second = FakeExecutor()
    assert search(second) == "trials"
    assert [task.attempt for task in second.tasks] == [1, 1]


def test_signals_are_the_callers_again_afterwards(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    Search(tmp_path, trials=1)(FakeExecutor())
    assert signal.getsignal(signal.SIGINT) is before


def test_two_slots_are_both_used(tmp_path: Path) -> None:
    executor = FakeExecutor(slots=2)
    most = 0

    def watch(number: int) -> None:
        nonlocal most
        most = max(most, 2 - executor.free + 1)

    executor.before = watch
    Search(tmp_path)(executor)
    assert most == 2 and len(executor.tasks) == 12


def test_hyperband_continues_from_the_promoted_trials_folder(tmp_path: Path) -> None:
    executor = FakeExecutor()
    search = Search(tmp_path, strategy="hyperband", trials=40)
    search(executor)
    promoted = [t for t in executor.tasks if t.continues is not None]
    assert promoted
    for task in promoted:
        assert task.continues is not None and task.continues.name < task.trial_id
        assert 0 < task.initial_epoch < task.epochs


def test_a_clock_that_jumps_changes_nothing_but_the_times_of_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(task: TrialTask) -> Outcome:
        nan = int(task.trial_id) % 3 == 0
        return Failed("nan", "loss is nan in epoch 1") if nan else by_size(task)

    steady, jumping = Search(tmp_path / "a"), Search(tmp_path / "b")
    steady(FakeExecutor(answer))
    jumps = iter([86400.0 * (-1) ** number * number for number in range(10_000)])
    monkeypatch.setattr(
        "cnnsearch.runs.database.clock", SimpleNamespace(time=lambda: 1e9 + next(jumps))
    )
    jumping(FakeExecutor(answer))
    shown = [
        [(t.id, t.status, t.score, t.values) for t in each.trials_of()]
        for each in (steady, jumping)
    ]
    assert shown[0] == shown[1]
    assert all((trial.seconds or 0) >= 0 for trial in jumping.trials_of())
    with jumping.run() as run:
        kinds = [event.kind for event in run.db.get_events()]
        assert kinds[:3] == ["trial_started", "epoch", "trial_ended"]
