"""The program as a whole: from a search to an export, and how it ends by a signal."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Capture, finished_run, run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_ctrl_c_is_reported_on_stderr(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cnnsearch.runs.directory.list_runs", interrupt)
    assert run("runs") == 130
    assert capsys.readouterr().err == "cnnsearch: interrupted\n"


@pytest.mark.parametrize("way", [KeyboardInterrupt, EOFError])
def test_a_question_that_is_interrupted_is_one_line(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: type[BaseException]
) -> None:
    finished_run(tmp_path / "runs", [0.5])

    def interrupt(*arguments: object) -> str:
        raise way

    monkeypatch.setattr("sys.stdin.read", interrupt)
    monkeypatch.setattr("sys.stdin.readline", interrupt)
    assert run("delete", "r") == 130
    assert capsys.readouterr().err.splitlines()[-1] == "cnnsearch: interrupted"
    assert run("runs") == 0 and (tmp_path / "runs" / "r").is_dir()


def program(*arguments: str, cwd: Path, **more: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cnnsearch", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280, **more)


@pytest.mark.programs
def test_a_search_from_the_command_line_to_the_export(tmp_path: Path) -> None:
    asked = ("search", "tiny", "--trials", "2", "--epochs", "2", "--name", "first")
    done = program(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "2 candidates trained" in done.stdout
    again = program(*asked, cwd=tmp_path)
    assert again.returncode == 0 and "Resumes after 2 finished candidates" in again.stdout

    results = json.loads(program("results", "--json", cwd=tmp_path).stdout)
    assert len(results["leaderboard"]) == 2

    other = program(*asked[:-1], "first", "--seed", "3", cwd=tmp_path)
    assert other.returncode == 2 and "begun with another value of --seed: 0, now 3" in other.stderr

    export = program("export", "best", "--run", "first", "--out", "out/net", "--json", cwd=tmp_path)
    assert export.returncode == 0, export.stderr
    exported = json.loads(export.stdout)
    assert exported["largest_difference"] < 1e-4 and exported["test_images"] == 359
    assert (tmp_path / "out/net/1/saved_model.pb").is_file()
    assert (tmp_path / "out/net/class_names.txt").read_text().split() == list("0123456789")
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/net"]
    once_more = program("export", "--out", "out/net", cwd=tmp_path)
    assert once_more.returncode == 2 and "--force replaces it" in once_more.stderr

    program("sync", "first", cwd=tmp_path)
    synced = program("sync", "first", cwd=tmp_path)
    assert synced.returncode == 0 and "0 events" in synced.stdout, synced.stdout + synced.stderr


LAGGING = """
import atexit, sys, time
from types import SimpleNamespace
from cnnsearch import cli
from cnnsearch.runs.mlflow import Tracker

def search(standalone_mode):
    tracker = Tracker(SimpleNamespace())
    tracker._thread._target = lambda: time.sleep(60)
    tracker.start()
    print("Done.")
    return 3

atexit.register(print, "Python finalizes itself under the thread")
cli.app = search
cli.run_program()
"""


def test_a_search_that_mlflow_lags_behind_keeps_its_exit_code() -> None:
    done = subprocess.run([sys.executable, "-c", LAGGING], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "Done.\n", "")


IMPORTING = """
import os, signal, sys
from cnnsearch.__main__ import run

class Finder:
    def find_spec(self, name, *rest):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
sys.argv = ["cnnsearch", "--version"]
run()
"""


def test_ctrl_c_while_the_program_is_imported_prints_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_sigterm_outside_of_a_search_ends_a_command_like_ctrl_c() -> None:
    program = (
        "import os, signal; import cnnsearch.cli\n"
        "from cnnsearch.__main__ import run\n"
        "def wait():\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n"
        "    except KeyboardInterrupt: print('interrupted')\n"
        "cnnsearch.cli.run_program = wait\n"
        "run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n")
