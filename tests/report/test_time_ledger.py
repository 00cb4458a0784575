"""What the wall time of a run was spent on."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cnnsearch.cli import app
from cnnsearch.engine.search import resume, search
from cnnsearch.errors import RunError
from cnnsearch.report.time_ledger import ACTIVITIES, make_ledger, read_ledger
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import Event

SPACE = """
input: [8, 8, 1]
classes: 10
stem: [{type: conv, filters: {choice: [4, 6, 8]}}]
recipe: {epochs: 2, batch_size: 64, learning_rate: 0.01}
"""
START = {"startup_seconds": 4.0, "workers": 1}
STEPS = {"train": 5.0, "evaluate": 1.0}


def make_events(*rows: tuple[float, str, str | None, dict[str, Any]]) -> list[Event]:
    return [Event(seq, *row) for seq, row in enumerate(rows, start=1)]


def test_every_second_of_a_session_belongs_to_an_activity() -> None:
    ledger = make_ledger(
        make_events(
            (100.0, "run_started", None, START),
            (103.0, "trial_started", "1", {"propose_seconds": 1.0}),
            (111.0, "epoch", "1", {"activities": {"build": 1.5, **STEPS}}),
            (117.5, "epoch", "1", {"activities": STEPS}),
            (118.0, "trial_ended", "1", {"status": "completed"}),
            (120.0, "trial_started", "2", {"propose_seconds": 0.5}),
            (129.0, "trial_ended", "2", {"status": "failed"}),
            (130.0, "run_ended", None, {}),
            (900.0, "exported", "1", {}),
        ),
        "r",
        {"8": "0.25", "7": "no event of this number ended a session"},
    )
    assert ledger.wall == 34.25
    assert ledger.seconds == {
        "start-up": 6.0, "propose": 1.5, "fork": 0.5, "build": 1.5, "train": 10.0, "evaluate": 2.0,
        "log": 0.5 + 0.5 + 1.0 + 0.25, "lost": 9.0, "idle": 1.5,
    }  # fmt: skip
    assert ledger.trials["2"] == {"propose": 0.5, "lost": 9.0}
    assert ledger.trials["1"].total == 16.0


def test_an_epoch_ends_before_it_is_reported() -> None:
    """Its checkpoint is written while the next one is trained, which has that time already."""
    ledger = make_ledger(
        make_events(
            (0.0, "run_started", None, START),
            (0.0, "trial_started", "1", {}),
            (9.0, "epoch", "1", {"activities": STEPS, "age": 2.0}),
            (13.5, "epoch", "1", {"activities": STEPS, "age": 0.25}),
            (14.0, "trial_retried", "1", {}),
            (14.0, "run_ended", None, {}),
        ),
        "r",
    )
    assert ledger.trials["1"] == {
        "fork": 1.0, "train": 10.0, "evaluate": 2.0, "log": 0.25, "lost": 0.75, "propose": 0.0,
    }  # fmt: skip
    assert ledger.seconds.total == ledger.wall


def test_what_an_interruption_or_a_crash_discards_is_lost() -> None:
    ledger = make_ledger(
        make_events(
            (0.0, "run_started", None, START),
            (0.0, "trial_started", "1", {}),
            (6.0, "epoch", "1", {"activities": STEPS}),
            (9.0, "trial_retried", "1", {}),
            (16.0, "epoch", "1", {"activities": STEPS}),
            (18.0, "run_ended", None, {}),
            (50.0, "run_started", None, START),
            (50.0, "trial_started", "1", {}),
            (51.0, "epoch", "1", {}),  # replayed
            (57.0, "epoch", "1", {"activities": STEPS}),  # then killed: no end of run or trial
        ),
        "r",
    )
    assert (ledger.sessions, ledger.wall) == (2, 4.0 + 18.0 + 4.0 + 7.0)
    assert ledger.seconds["lost"] == 3.0 + 2.0
    assert ledger.seconds["fork"] == 1.0 + 1.0
    assert ledger.seconds.total == ledger.wall


def test_seconds_of_parallel_workers_count_as_their_mean() -> None:
    ledger = make_ledger(
        make_events(
            (0.0, "run_started", None, {**START, "workers": 2}),
            (0.0, "trial_started", "1", {}),
            (0.0, "trial_started", "2", {}),
            (6.0, "epoch", "1", {"activities": STEPS}),
            (6.0, "trial_ended", "1", {"status": "completed"}),
            (6.0, "epoch", "2", {"activities": STEPS}),
            (12.0, "epoch", "2", {"activities": STEPS}),
            (12.0, "trial_ended", "2", {"status": "completed"}),
            (12.0, "run_ended", None, {}),
        ),
        "r",
    )
    assert ledger.seconds["train"] == 7.5
    assert ledger.seconds["idle"] == 3.0
    assert ledger.seconds.total == ledger.wall == 16.0


@pytest.mark.parametrize("kind", ["run_started", "exported"])
def test_a_run_of_an_earlier_version_is_one_clear_line(kind: str) -> None:
    events = make_events((0.0, "run_started", None, {"resumed": False}), (1.0, kind, None, {}))
    with pytest.raises(RunError, match="'old' was recorded by a version that did not measure"):
        make_ledger(events, "old")


def measure(function: Callable[[], object]) -> float:
    since = time.monotonic()
    function()
    return time.monotonic() - since


def test_the_activities_of_a_resumed_search_sum_to_its_wall_time(tmp_path: Path) -> None:
    space, runs = tmp_path / "space.yaml", tmp_path / "runs"
    space.write_text(SPACE)
    wall = measure(lambda: search(space, trials=2, name="r", runs=runs, workers=1, seed=1))
    wall += measure(lambda: resume("r", runs=runs, trials=3))
    run = RunDirectory.open(runs, "r")
    ledger = read_ledger(run)
    assert ledger.sessions == 2
    assert sum(ledger.seconds.values()) == pytest.approx(ledger.wall)
    assert ledger.wall == pytest.approx(wall, rel=0.02)
    for name in ("start-up", "fork", "build", "compile", "train", "evaluate", "checkpoint"):
        assert ledger.seconds[name] > 0.0, name
    assert ledger.seconds["compile"] > ledger.seconds["train"]  # 64 steps of a network so small
    assert min(ledger.seconds.values()) > -0.01
    shown = CliRunner().invoke(app, ["results", "r", "--runs", str(runs), "--time"])
    assert all(name in shown.output for name in ACTIVITIES)
    assert "wall time of 2 sessions" in shown.output
    found = CliRunner().invoke(app, ["results", "r", "--runs", str(runs), "--time", "--json"])
    assert json.loads(found.output)["trials"].keys() == ledger.trials.keys()
