"""The same fault for every kind of run: its driver is killed after the first epoch, then resumed.

The end state must be that of an undisturbed run: searches, final trainings and fidelity studies
share one :class:`~cnnsearch.engine.session.RunSession`.
"""

import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cnnsearch.engine.search import search
from cnnsearch.runs.directory import RunDirectory

SPACE = """
input: [8, 8, 1]
classes: 10
stem: [{type: conv, filters: {choice: [4, 6, 8, 10, 12, 16]}}]
recipe: {epochs: 3, batch_size: 64, learning_rate: 0.01}
"""
COMMANDS = {
    "search": "search space.yaml --trials 4 --seed 1 --quiet",
    "final": "train best --run base --seeds 2 --epochs 4 --references none --quiet",
    "fidelity": "fidelity space.yaml --candidates 4 --short 2 --long 4 --json",
}
TIMINGS = {"seconds", "peak_memory_mb", "setup_seconds"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("killed")
    (root / "space.yaml").write_text(SPACE)
    search(root / "space.yaml", trials=2, name="base", runs=root / "runs", seed=1, workers=0)
    return root


def start(folder: Path, kind: str, name: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "cnnsearch", *COMMANDS[kind].split(), "--name", name]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(process: "subprocess.Popen[bytes]") -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


def kill_after_first_epoch(folder: Path, kind: str, name: str) -> None:
    process, until = start(folder, kind, name), time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if RunDirectory.exists(folder / "runs", name):
            with closing(RunDirectory.open(folder / "runs", name)) as run:
                if run.db.get_last_event("epoch"):
                    process.kill()
                    process.communicate()
                    assert not run.db.get_events_of("run_ended")
                    return
        time.sleep(0.02)
    pytest.fail(f"no epoch: {process.communicate()[1]!r}")


def describe_end(folder: Path, name: str) -> dict[str, Any]:
    """Returns everything of a run that must not depend on how many sessions it took."""
    with closing(RunDirectory.open(folder / "runs", name)) as run:
        trials = {
            trial.id: (trial.status, trial.values, trial.fingerprint, trial.epochs, trial.score)
            for trial in run.db.get_trials()
        }
        histories = {
            trial: [
                {key: value for key, value in epoch.items() if key not in TIMINGS}
                for epoch in run.db.get_history(trial)
            ]
            for trial in trials
        }
        evaluated = {
            event.trial_id: (event.data["test_accuracy"], event.data["test_loss"])
            for event in run.db.get_events_of("evaluated")
        }
        ends = [event.data["reason"] for event in run.db.get_events_of("run_ended")]
        kind, state = run.manifest.get("kind", "search"), run.state
    return {
        "kind": kind,
        "state": state,
        "ends": ends,
        "trials": trials,
        "histories": histories,
        "evaluated": evaluated,
    }


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_killed_driver_leaves_no_trace_in_the_end_state(folder: Path, kind: str) -> None:
    kill_after_first_epoch(folder, kind, f"{kind}-killed")
    finish(start(folder, kind, f"{kind}-killed"))
    finish(start(folder, kind, f"{kind}-whole"))
    killed, whole = (describe_end(folder, f"{kind}-{name}") for name in ("killed", "whole"))
    assert killed == whole
    assert (whole["kind"], whole["ends"], whole["state"]) == (kind, ["trials"], "finished")
    assert len(whole["trials"]) == {"search": 4, "final": 2, "fidelity": 8}[kind]
    assert len(whole["evaluated"]) == (2 if kind == "final" else 0)
