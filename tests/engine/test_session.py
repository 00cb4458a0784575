"""A session of a run: what is recorded and released however it ends."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cnnsearch.data import Dataset
from cnnsearch.engine import session
from cnnsearch.engine.display import Quiet
from cnnsearch.engine.executors import Executor
from cnnsearch.engine.run_manifest import create_manifest
from cnnsearch.engine.session import RunSession, describe_skipped, open_session
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import RunError
from cnnsearch.runs.directory import INTERRUPTED, RunDirectory

SPACE = "input: [8, 8, 1]\nclasses: 10\nstem: [{type: conv, filters: 4}]\n"


class Log(Quiet):
    """Notes in which order executor, tracker and display are closed."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def close(self) -> None:
        self.events.append("display")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    found = Log()

    class Tracker:
        def __init__(self, *args: Any, **options: Any) -> None: ...
        def start(self) -> None: ...
        def notify(self) -> None: ...
        def close(self, timeout: float) -> None:
            found.events.append(f"tracker {timeout:g}")

    monkeypatch.setattr(session, "Tracker", Tracker)
    return found


@pytest.fixture
def run(tmp_path: Path, digits: Dataset) -> RunDirectory:
    settings = Settings.create(SPACE, "s")
    record = create_manifest("s", settings, digits)
    return RunDirectory.create(tmp_path / "runs", "r", record, SPACE)


@pytest.fixture
def opened(run: RunDirectory, log: Log) -> Callable[[], Any]:
    executor = cast(Executor, SimpleNamespace(free=1, close=lambda: log.events.append("executor")))
    settings = Settings.create(SPACE, "s")
    return lambda: open_session(run, settings, log, executor)


def list_ends(run: RunDirectory) -> list[str]:
    return [event.data["reason"] for event in run.db.get_events_of("run_ended")]


def test_a_session_closes_everything_in_order_and_records_the_end(
    run: RunDirectory, opened: Callable[[], Any], log: Log
) -> None:
    with opened() as current:
        current.begin(None)
        assert run.owner is not None
    assert list_ends(run) == ["trials"]
    assert log.events == ["executor", f"tracker {session.PATIENCE:g}", "display"]
    assert run.owner is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, RunError, MemoryError])
def test_an_exception_ends_it_as_interrupted_and_passes_on(
    run: RunDirectory, opened: Callable[[], Any], log: Log, error: type[BaseException]
) -> None:
    with pytest.raises(error), opened() as current:
        current.begin(None)
        raise error("stop")
    assert list_ends(run) == [INTERRUPTED]
    assert log.events == ["executor", f"tracker {session.HURRY:g}", "display"]
    assert run.owner is None


def test_a_session_that_never_began_records_nothing(
    run: RunDirectory, opened: Callable[[], Any], log: Log
) -> None:
    with pytest.raises(RunError), opened():
        raise RunError("before the start")
    assert list_ends(run) == []
    assert log.events == ["executor", "display"]


def test_a_second_session_is_a_resumed_one(run: RunDirectory, opened: Callable[[], Any]) -> None:
    for _ in range(2):
        with opened() as current:
            current.begin(None)
    resumed = [event.data["resumed"] for event in run.db.get_events_of("run_started")]
    assert resumed == [False, True]


def test_closing_twice_records_one_end(run: RunDirectory, opened: Callable[[], Any]) -> None:
    with opened() as current:
        current.begin(None)
        current.close("time")
    assert list_ends(run) == ["time"]


def test_another_process_holds_the_lock(run: RunDirectory, opened: Callable[[], Any]) -> None:
    with opened(), pytest.raises(RunError, match="run 'r'"), opened():
        pass


def test_an_overview_has_the_objectives_heading(run: RunDirectory, digits: Dataset) -> None:
    settings = Settings.create(SPACE, "s", objective="macro_f1")
    overview = RunSession(run, settings).make_overview(
        digits, space="s", strategy="final", trials=4, epochs=2, finished=1
    )
    assert (overview.measured, overview.metric) == ("val macro F1", "val_macro_f1")
    assert (overview.images, overview.classes) == (digits.train.count, 10)


def test_images_that_are_left_out_are_one_line(digits: Dataset) -> None:
    names = tuple(f"{number}.png (truncated)" for number in range(5))
    assert describe_skipped(digits) == []
    assert describe_skipped(replace(digits, skipped=names)) == [
        "Left out 5 unreadable images: 0.png (truncated), 1.png (truncated), 2.png (truncated) "
        "and 2 more (listed in run.json)."
    ]
    (one,) = describe_skipped(replace(digits, skipped=names[:1]))
    assert one == "Left out 1 unreadable image: 0.png (truncated)."
