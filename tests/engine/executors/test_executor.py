"""Executors: the same numbers everywhere, and nothing that dies takes more than itself."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.engine.executors import Executor, ProcessExecutor
from cnnsearch.engine.executors.processes import describe_exit
from cnnsearch.engine.options import Placement
from cnnsearch.engine.placement import make_executor
from cnnsearch.errors import RunError
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

MakeTask = Callable[..., TrialTask]
LIMIT = 120.0


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    made = ProcessExecutor(2)
    yield made
    made.close()


def until(executor: Executor, wanted: Callable[[Event], bool]) -> list[Event]:
    """Polls until an event is the one that is wanted."""
    events: list[Event] = []
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        events += executor.poll(1.0)
        if any(wanted(event) for event in events):
            return events
    raise AssertionError(f"not within {LIMIT} s; heard {events}")


def finish(executor: Executor, task: TrialTask) -> tuple[list[EpochEnd], Outcome]:
    executor.submit(task)
    events = until(executor, lambda event: isinstance(event, TrialEnd))
    *epochs, end = events
    assert isinstance(end, TrialEnd)
    assert {event.trial_id for event in events} == {task.trial_id}
    return [event for event in epochs if isinstance(event, EpochEnd)], end.outcome


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if "forkserver" in _line(p)]


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def trial_process() -> psutil.Process:
    """The one process that trains: the youngest child of the fork server."""
    return max(children(), key=lambda process: process.create_time())


def same(one: dict[str, float], other: dict[str, float]) -> bool:
    clock = {"seconds", "peak_memory_mb"}
    return {k: v for k, v in one.items() if k not in clock} == {
        k: v for k, v in other.items() if k not in clock
    }


def test_processes_and_this_process_give_the_same_numbers(make_task: MakeTask) -> None:
    there, outcome = finish(make_executor(Placement(workers=1)), make_task("there"))
    here, reference = finish(make_executor(Placement(workers=0)), make_task("here"))
    assert isinstance(outcome, Completed) and isinstance(reference, Completed)
    assert [event.epoch for event in there] == [event.epoch for event in here] == [1, 2]
    assert same(outcome.measurement.metrics, reference.measurement.metrics)
    for one, other in zip(there, here, strict=True):
        assert same(one.metrics, other.metrics)


def test_a_killed_trial_is_reported_and_resumes_to_the_same_score(
    executor: ProcessExecutor, make_task: MakeTask
) -> None:
    task = make_task("killed", epochs=4)
    executor.submit(task)
    until(executor, lambda event: isinstance(event, EpochEnd) and event.epoch >= 2)
    trial_process().send_signal(signal.SIGKILL)
    end = until(executor, lambda event: isinstance(event, TrialEnd))[-1]
    assert isinstance(end, TrialEnd) and isinstance(end.outcome, Failed)
    assert end.outcome.kind == "crash"
    assert "killed by signal 9 (SIGKILL)" in end.outcome.reason
    assert executor.free == 2
    resumed, outcome = finish(executor, task)
    assert [event.epoch for event in resumed] == [1, 2, 3, 4]
    assert [event.replayed for event in resumed][:2] == [True, True]
    assert not resumed[-1].replayed
    whole, reference = finish(executor, make_task("whole", epochs=4))
    assert isinstance(outcome, Completed) and isinstance(reference, Completed)
    assert same(outcome.measurement.metrics, reference.measurement.metrics)
    for one, other in zip(resumed, whole, strict=True):
        assert same(one.metrics, other.metrics)


def test_ctrl_c_does_not_reach_trials(executor: ProcessExecutor, make_task: MakeTask) -> None:
    executor.submit(make_task("stoic"))
    until(executor, lambda event: isinstance(event, EpochEnd))
    for process in children():
        process.send_signal(signal.SIGINT)
    end = until(executor, lambda event: isinstance(event, TrialEnd))[-1]
    assert isinstance(end, TrialEnd) and isinstance(end.outcome, Completed)


def test_failures_of_the_candidate_and_errors_of_the_program_are_distinguished(
    executor: ProcessExecutor, make_task: MakeTask, small: Architecture
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
    assert isinstance(outcome, Fault)
    assert "not a checkpoint" in outcome.message


def test_an_unexpected_error_is_one_line_and_its_traceback_is_logged(
    executor: ProcessExecutor, make_task: MakeTask
) -> None:
    task = replace(make_task("odd"), dataset=Dataset)  # type: ignore[arg-type]
    _, outcome = finish(executor, task)
    assert isinstance(outcome, Fault)
    assert "\n" not in outcome.message and "Error: " in outcome.message
    assert "Traceback" in (task.directory / "trial.log").read_text("utf-8")


def test_a_trial_that_takes_too_long_is_killed(make_task: MakeTask) -> None:
    impatient = ProcessExecutor(1, timeout=0.5)
    _, outcome = finish(impatient, make_task("slow", epochs=1000))
    assert outcome == Failed("timeout", "killed after 0.5 seconds")
    assert impatient.free == 1


def test_a_cancelled_trial_reports_nothing(executor: ProcessExecutor, make_task: MakeTask) -> None:
    executor.submit(make_task("unwanted", epochs=1000))
    executor.submit(make_task("wanted", epochs=1))
    assert executor.free == 0
    with pytest.raises(RuntimeError, match="no slot"):
        executor.submit(make_task("third"))
    executor.cancel("unwanted")
    assert executor.free == 1
    events = until(executor, lambda event: isinstance(event, TrialEnd))
    assert {event.trial_id for event in events} == {"wanted"}


def test_each_worker_is_given_the_gpu_with_the_fewest_trials(make_task: MakeTask) -> None:
    from tests.engine.executors.targets import tell_gpu

    executor = ProcessExecutor(4, gpus=("4", "7"), target=tell_gpu)
    given: list[float] = []
    for name in ("a", "b", "c", "d"):
        executor.submit(make_task(name))
    while len(given) < 4:
        events = executor.poll(1.0)
        given += [event.metrics["gpu"] for event in events if isinstance(event, EpochEnd)]
    assert sorted(given) == [4.0, 4.0, 7.0, 7.0]
    executor.close()


@pytest.mark.programs
def test_a_killed_fork_server_is_made_anew(make_task: MakeTask) -> None:
    executor = ProcessExecutor(1)
    executor.warm()
    servers = [p for p in children() if p.ppid() == os.getpid()]
    for server in servers:
        server.kill()
    _, outcome = finish(executor, make_task("after", epochs=1))
    assert isinstance(outcome, Completed)


def test_a_process_that_cannot_be_started_is_reported_in_one_line(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(process: Any) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    executor = ProcessExecutor(1)
    monkeypatch.setattr(executor._context.Process, "start", refuse)
    with pytest.raises(RunError, match=r"cannot be started: .*temporarily unavailable"):
        executor.submit(make_task("never"))
    assert executor.free == 1


def test_waiting_for_nothing_ends(executor: ProcessExecutor) -> None:
    assert executor.poll(0.01) == []
    assert make_executor(Placement(workers=0)).poll(0.01) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [(-11, "signal 11 (SIGSEGV)"), (1, "exit code 1"), (None, "hangs"), (-64, "signal 64")],
)
def test_deaths_in_words(code: int | None, words: str) -> None:
    assert words in describe_exit(code)


SCRIPT = """
    import os, pickle, sys, time
    from pathlib import Path

    print("script runs", flush=True)

    from cnnsearch.engine.executors import ProcessExecutor
    from cnnsearch.training.messages import EpochEnd, TrialEnd

    executor = ProcessExecutor(1, start_method=sys.argv[2])
    executor.submit(pickle.loads(Path(sys.argv[1]).read_bytes()))
    while True:
        for event in executor.poll(1.0):
            if isinstance(event, EpochEnd):
                print("epoch", event.epoch, flush=True)
            else:
                print("end", type(event.outcome).__name__, flush=True)
                print(getattr(event.outcome, "traceback", ""), end="")
                executor.close()
                raise SystemExit
"""


def script(tmp_path: Path, task: TrialTask, method: str = "auto", **environment: str) -> Any:
    """Starts a script without a main guard that runs one trial."""
    import pickle

    (tmp_path / "task").write_bytes(pickle.dumps(task))
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    return subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "task"), method],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_plain_script_runs_once_and_its_terminal_stays_clean(
    tmp_path: Path, make_task: MakeTask
) -> None:
    out, err = script(tmp_path, make_task(epochs=1)).communicate(timeout=LIMIT)
    assert out.splitlines() == ["script runs", "epoch 1", "end Completed"]
    assert err == ""


@pytest.mark.slow
def test_spawned_processes_do_the_same(tmp_path: Path, make_task: MakeTask) -> None:
    out, err = script(tmp_path, make_task(epochs=1), "spawn").communicate(timeout=LIMIT)
    assert out.splitlines() == ["script runs", "epoch 1", "end Completed"]
    assert err == ""


@pytest.mark.parametrize("method", ["forkserver", pytest.param("spawn", marks=pytest.mark.slow)])
def test_no_trial_outlives_a_killed_driver(
    tmp_path: Path, make_task: MakeTask, method: str
) -> None:
    driver = script(tmp_path, make_task(epochs=100_000), method)
    assert driver.stdout.readline() == "script runs\n"
    assert driver.stdout.readline() == "epoch 1\n"
    family = psutil.Process(driver.pid).children(recursive=True)
    assert family
    driver.kill()
    driver.communicate()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


@pytest.mark.slow
def test_jax_without_tensorflow(tmp_path: Path, make_task: MakeTask) -> None:
    pytest.importorskip("jax")
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent("""
            import sys

            class Absent:
                def find_spec(self, name, path=None, target=None):
                    if name.split(".")[0] == "tensorflow":
                        raise ModuleNotFoundError("tensorflow is not installed", name=name)

            sys.meta_path.insert(0, Absent())
        """)
    )
    tiny = Architecture.from_data(
        {"input": [8, 8, 1], "classes": 10, "stem": [{"type": "conv", "filters": 8}]}
    )
    task = make_task(epochs=2, architecture=tiny)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = script(tmp_path, task, KERAS_BACKEND="jax", PYTHONPATH=path)
    out, _ = done.communicate(timeout=LIMIT)
    assert out.splitlines() == ["script runs", "epoch 1", "epoch 2", "end Completed"]
