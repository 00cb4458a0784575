"""Runs are ended and removed from another terminal."""

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cnnsearch.cli import app
from cnnsearch.errors import RunError
from cnnsearch.runs import manage
from cnnsearch.runs.directory import RunDirectory, list_runs

MANIFEST = {"settings": {}, "space": "s"}
PROGRAM = """
import signal, sys, time
from pathlib import Path
from cnnsearch.runs.directory import RunDirectory
stopped = []
if sys.argv[3] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
run = RunDirectory.open(Path(sys.argv[1]), sys.argv[2])
with run.lock():
    print("locked", flush=True)
    while not stopped:
        time.sleep(0.02)
    run.db.append("run_ended", {"reason": "interrupted"})
"""


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    made = RunDirectory.create(tmp_path / "runs", "a", MANIFEST, "classes: 2\n")
    made.db.append("run_started", {"resumed": False, "environment": {}})
    return made


def writer(run: RunDirectory, kind: str = "hears") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(run.path.parent), run.name, kind]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_running_run_is_stopped_and_can_be_resumed(run: RunDirectory) -> None:
    process = writer(run)
    assert manage.stop(run.path.parent, "a") == "interrupted"
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_one_that_is_not_running_is_left_alone(run: RunDirectory) -> None:
    assert manage.stop(run.path.parent, "a") is None


def test_a_process_that_does_not_stop_is_reported_and_left(run: RunDirectory) -> None:
    process = writer(run, "deaf")
    with pytest.raises(RunError, match=r"has not ended after 0 s.*--wait"):
        manage.stop(run.path.parent, "a", wait=0.3)
    assert process.poll() is None
    process.kill()
    process.communicate()


def test_one_on_another_machine_is_named(run: RunDirectory) -> None:
    owner = {"pid": 1, "host": "elsewhere", "started": "x", "since": time.time()}
    (run.path / "lock").write_text(json.dumps(owner))
    with pytest.raises(RunError, match="on host elsewhere: stop it there"):
        manage.stop(run.path.parent, "a")


def test_a_run_is_deleted_whole(run: RunDirectory) -> None:
    (run.trial_dir("0001") / "state.npz").write_bytes(bytes(5000))
    root = run.path.parent
    run.close()
    assert manage.delete(root, "a") > 5000
    assert not os.listdir(root)
    assert list_runs(root) == []


def test_a_running_run_is_not_deleted(run: RunDirectory) -> None:
    process = writer(run)
    with pytest.raises(RunError, match="is being written by process"):
        manage.delete(run.path.parent, "a")
    assert (run.path / "run.db").exists()
    process.terminate()
    process.communicate()


def test_the_command_asks_first(run: RunDirectory) -> None:
    root = run.path.parent
    arguments = ["delete", "a", "--runs", str(root)]
    refused = CliRunner().invoke(app, arguments, input="n\n")
    assert "Delete run a (0 candidates" in refused.output
    assert "Nothing was deleted." in refused.output
    assert run.path.exists()
    assert "Deleted run a" in CliRunner().invoke(app, arguments, input="y\n").output
    assert not run.path.exists()


@pytest.mark.parametrize("command", ["stop", "delete"])
def test_no_such_run_and_names_that_are_none(
    run: RunDirectory, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = run.path.parent
    for name in ("b", "../runs/a", ".."):
        done = CliRunner().invoke(app, [command, name, "--runs", str(root)])
        assert isinstance(done.exception, RunError)
    assert run.path.exists()


def test_stop_says_how_to_go_on(run: RunDirectory) -> None:
    process = writer(run)
    done = CliRunner().invoke(app, ["stop", "a", "--runs", str(run.path.parent)])
    assert f"cnnsearch resume a --runs {run.path.parent}" in done.output
    process.communicate(timeout=10)
    with closing(RunDirectory.open(run.path.parent, "a")) as again:
        assert again.state == "interrupted"
    done = CliRunner().invoke(app, ["stop", "a", "--runs", str(run.path.parent)])
    assert "Run a is not running." in done.output
