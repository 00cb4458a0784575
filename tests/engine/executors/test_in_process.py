"""The executor without processes: a timeout holds between steps; bugs are told from failures."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cnnsearch.engine.executors import InProcessExecutor
from cnnsearch.training.messages import EpochEnd, Event, Failed, Fault, TrialEnd
from cnnsearch.training.trial import classify_error, run_trial


def train_for_a_minute(task: Any) -> Iterator[Event]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.01)  # a step
    yield EpochEnd("0001", 1)


def test_a_trial_over_its_time_is_stopped_within_its_first_epoch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Task:
        trial_id, directory = "0001", tmp_path

    monkeypatch.setattr("cnnsearch.training.trial._train", train_for_a_minute)
    monkeypatch.setattr("cnnsearch.training.trial.run_trial", run_trial)
    executor = InProcessExecutor(timeout=0.3)
    executor._prepared = True
    begun = time.monotonic()
    executor.submit(Task)  # type: ignore[arg-type]
    (end,) = executor.poll(0.1)
    assert time.monotonic() - begun < 30
    assert isinstance(end, TrialEnd) and executor.free == 1
    assert end.outcome == Failed("timeout", "stopped after 0.3 seconds")
    time.sleep(0.5)  # no alarm is left


def raised_by(source: str, module: str) -> Exception:
    try:
        exec(source, {"__name__": module})
    except Exception as error:
        return error
    raise AssertionError(source)


def test_an_error_of_the_program_stops_the_search_and_one_of_the_candidate_does_not(
    tmp_path: Path,
) -> None:
    ours = classify_error(raised_by("{}['x']", "cnnsearch.training.batches"), tmp_path)
    assert isinstance(ours, Fault)
    assert "KeyError: 'x'" in ours.message and "\n" not in ours.message
    assert "Traceback" in (tmp_path / "trial.log").read_text("utf-8")
    for source, module in (
        ("{}['x']", "keras.src.layers"),
        ("raise OSError(5, 'Input/output error')", "cnnsearch.data"),
    ):
        outcome = classify_error(raised_by(source, module), tmp_path)
        assert isinstance(outcome, Failed) and outcome.kind == "crash"
