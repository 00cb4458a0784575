"""Trials on Ray: the same numbers, nothing lost with a worker or a node, nothing left behind."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import psutil
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset, Split
from cnnsearch.engine.executors import Executor, ProcessExecutor
from cnnsearch.engine.executors.ray.executor import RayExecutor
from cnnsearch.training import checkpoint
from cnnsearch.training.messages import (
    Completed,
    EpochEnd,
    Event,
    Failed,
    Fault,
    Outcome,
    TrialEnd,
    TrialTask,
)
from tests.engine.executors.targets import Elsewhere

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install 'cnnsearch[ray]'"),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # files that Ray does not close
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


MakeTask = Callable[..., TrialTask]


LIMIT = 400.0


@pytest.fixture(scope="module")
def executor() -> Iterator[RayExecutor]:
    made = RayExecutor(slots=2)
    made.warm()
    yield made
    made.close()
    assert ray_processes() == []


def ray_processes() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if "ray" in _line(p)]


def _line(process: psutil.Process) -> str:
    try:
        return " ".join([process.name(), *process.cmdline()])
    except psutil.Error:
        return ""


def until(executor: Executor, wanted: Callable[[Event], bool]) -> list[Event]:
    """Polls until an event is the one that is wanted."""
    events: list[Event] = []
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        events += executor.poll(1.0)
        if any(wanted(event) for event in events):
            return events
    raise AssertionError(f"not within {LIMIT} s; heard {events}")


def is_end(event: Event) -> bool:
    return isinstance(event, TrialEnd)


def new_epoch(number: int) -> Callable[[Event], bool]:
    return lambda e: isinstance(e, EpochEnd) and not e.replayed and e.epoch >= number


def outcome_of(executor: Executor) -> Outcome:
    end = until(executor, is_end)[-1]
    assert isinstance(end, TrialEnd)
    return end.outcome


def finish(executor: Executor, task: TrialTask) -> tuple[list[EpochEnd], Outcome]:
    executor.submit(task)
    *epochs, end = until(executor, is_end)
    assert isinstance(end, TrialEnd)
    return [event for event in epochs if isinstance(event, EpochEnd)], end.outcome


def told(epochs: list[EpochEnd]) -> list[Any]:
    return [(e.epoch, {k: v for k, v in e.metrics.items() if k != "seconds"}) for e in epochs]


def measured(outcome: Outcome) -> dict[str, float]:
    assert isinstance(outcome, Completed), outcome
    clock = {"seconds", "peak_memory_mb"}
    return {k: v for k, v in outcome.measurement.metrics.items() if k not in clock}


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessExecutor]:
    made = ProcessExecutor(2)
    yield made
    made.close()


def test_ray_and_processes_give_the_same_numbers_and_files(
    executor: RayExecutor, processes: ProcessExecutor, make_task: MakeTask
) -> None:
    there, outcome = finish(executor, make_task("there"))
    here, reference = finish(processes, make_task("here"))
    assert told(there) == told(here)
    assert measured(outcome) == measured(reference)
    folders = [make_task(name).directory for name in ("there", "here")]
    found = [{path.name for path in folder.glob("*.npz")} for folder in folders]
    assert found == [{"state.npz", "best.npz"}] * 2


def trials_of(process: psutil.Process) -> list[psutil.Process]:
    """The processes that a worker's fork server has made."""
    servers = [p for p in process.children() if "forkserver" in _line(p)]
    return [trial for server in servers for trial in server.children()]


def the_trial(executor: RayExecutor) -> psutil.Process:
    workers = [p for p in ray_processes() if "ray::Worker" in _line(p)]
    [trial] = [trial for worker in workers for trial in trials_of(worker)]
    return trial


@pytest.mark.parametrize(
    ("whom", "words"),
    [("trial", "killed by signal 9 (SIGKILL)"), ("worker", "its Ray worker died")],
)
def test_a_killed_trial_is_reported_once_and_resumes_to_the_same_score(
    executor: RayExecutor,
    processes: ProcessExecutor,
    make_task: MakeTask,
    whom: str,
    words: str,
) -> None:
    task = make_task("killed", epochs=30)
    executor.submit(task)
    until(executor, new_epoch(2))
    victim = the_trial(executor)
    (victim if whom == "trial" else victim.parent().parent()).send_signal(signal.SIGKILL)
    outcome = outcome_of(executor)
    assert isinstance(outcome, Failed) and outcome.kind == "crash" and words in outcome.reason
    assert executor.free == 2
    assert executor.poll(2.0) == []
    assert psutil.wait_procs([victim], timeout=20)[1] == []
    resumed, outcome = finish(executor, task)
    assert [event.epoch for event in resumed] == list(range(1, 31))
    assert [event.replayed for event in resumed][:2] == [True, True]
    whole, reference = finish(processes, make_task("whole", epochs=30))
    assert told(resumed) == told(whole)
    assert measured(outcome) == measured(reference)


def test_images_that_a_node_does_not_see_are_sent_once(
    executor: RayExecutor, processes: ProcessExecutor, make_task: MakeTask, digits: Dataset
) -> None:
    def hidden(split: Split) -> Split:
        return Elsewhere(**vars(split), owner=os.getpid())

    data = replace(digits, train=hidden(digits.train), validation=hidden(digits.validation))
    for name in ("sent", "again"):
        there, outcome = finish(executor, replace(make_task(name), dataset=data))
        here, reference = finish(processes, make_task(f"{name}-here"))
        assert told(there) == told(here)
        assert measured(outcome) == measured(reference)
    assert len(executor._store._pieces) == 1


def test_failures_of_the_candidate_and_errors_of_the_program_are_distinguished(
    executor: RayExecutor, make_task: MakeTask, small: Architecture
) -> None:
    style = small.style.model_copy(update={"norm": "none", "activation": "linear"})
    wild = {"optimizer": "sgd", "learning_rate": 100.0, "warmup": 0.0}
    diverging = small.model_copy(update={"style": style})
    _, outcome = finish(executor, make_task("nan", architecture=diverging, recipe=wild))
    assert isinstance(outcome, Failed) and outcome.kind == "nan"
    task = make_task("fault")
    task.directory.mkdir()
    (task.directory / checkpoint.STATE).write_bytes(b"no archive")
    _, outcome = finish(executor, task)
    assert isinstance(outcome, Fault) and "not a checkpoint" in outcome.message
    odd = make_task("odd", recipe={})
    _, outcome = finish(executor, replace(odd, recipe=None))  # type: ignore[arg-type]
    assert isinstance(outcome, Fault) and "a bug of cnnsearch" in outcome.message
    assert "Traceback" in (odd.directory / "trial.log").read_text("utf-8")


def test_a_trial_that_takes_too_long_is_killed(
    executor: RayExecutor, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_timeout", 0.5)
    _, outcome = finish(executor, make_task("slow", epochs=1000))
    assert outcome == Failed("timeout", "killed after 0.5 seconds")
    assert executor.free == 2


def test_a_cancelled_trial_reports_nothing(executor: RayExecutor, make_task: MakeTask) -> None:
    executor.submit(make_task("unwanted", epochs=1000))
    executor.submit(make_task("wanted", epochs=1))
    assert executor.free == 0
    with pytest.raises(RuntimeError, match="no slot"):
        executor.submit(make_task("third"))
    executor.cancel("unwanted")
    assert executor.free == 1
    assert {event.trial_id for event in until(executor, is_end)} == {"wanted"}


def test_ctrl_c_does_not_reach_trials(executor: RayExecutor, make_task: MakeTask) -> None:
    executor.submit(make_task("stoic", epochs=5))
    until(executor, new_epoch(1))
    trial = the_trial(executor)
    for process in (trial, trial.parent(), trial.parent().parent()):
        process.send_signal(signal.SIGINT)
    assert isinstance(outcome_of(executor), Completed)
