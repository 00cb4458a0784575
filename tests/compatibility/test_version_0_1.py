"""A run of version 0.1 is listed, resumed, reported, trained from and exported by this version.

``version_0_1/before`` is what version 0.1 had written when it was killed in trial 0003, after epoch
4 of 8; ``version_0_1/leaderboard.json`` what version 0.1 printed when it finished that run.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.programs

HERE = Path(__file__).parent / "version_0_1"
REPOSITORY = Path(__file__).parents[2]


def cnnsearch(folder: Path, *arguments: str) -> Any:
    """Runs a command in a folder; returns the JSON that it prints last, else its text."""
    done = subprocess.run(
        [sys.executable, "-m", "cnnsearch", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if arguments[0] in ("train", "resume"):
        return json.loads(done.stdout.splitlines()[-1])
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def copy_run(folder: Path) -> Path:
    shutil.copytree(HERE / "before", folder / "runs" / "before")
    return folder


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a copy of the run was resumed to its end."""
    folder = copy_run(tmp_path_factory.mktemp("version_0_1"))
    assert cnnsearch(folder, "resume", "before", "--json")["completed"] == 6
    return folder


def test_it_is_listed(tmp_path: Path) -> None:
    (run,) = cnnsearch(copy_run(tmp_path), "runs", "--json")
    expected = {"name": "before", "state": "interrupted", "trials": 3, "completed": 2}
    assert run.items() >= expected.items()


EXACT = ("family", "params", "macs", "flops", "epochs", "status", "values")
"""What the seed decides on every machine; scores differ between types of CPU."""


def test_it_is_resumed_with_the_same_candidates(resumed: Path) -> None:
    before = json.loads((HERE / "leaderboard.json").read_text("utf-8"))["leaderboard"]
    old = {trial["id"]: trial for trial in before}
    found = cnnsearch(resumed, "results", "before", "--json")["leaderboard"]
    now = {trial["id"]: trial for trial in found}
    assert now.keys() == old.keys()
    for trial, facts in old.items():
        assert {key: now[trial][key] for key in EXACT} == {key: facts[key] for key in EXACT}
        close = 0.0 if trial in ("0001", "0002") else 0.1  # those two had ended before
        assert now[trial]["score"] == pytest.approx(facts["score"], abs=close)
    assert now["0001"]["seconds"] == old["0001"]["seconds"]


def test_the_trial_that_was_killed_keeps_its_first_epochs(resumed: Path) -> None:
    """Epochs 1 to 4 of trial 0003 come from its checkpoint: version 0.1 trained them."""
    from cnnsearch.runs.database import RunDatabase

    old, new = HERE / "before" / "run.db", resumed / "runs" / "before" / "run.db"
    copy = shutil.copy(old, resumed / "old.db")
    histories = [RunDatabase(Path(path)).get_history("0003") for path in (copy, new)]
    assert len(histories[0]) == 4 and len(histories[1]) == 8
    assert histories[1][:4] == histories[0]


def test_it_is_reported(resumed: Path) -> None:
    cnnsearch(resumed, "report", "before", "--format", "md", "--out", "report.md")
    text = (resumed / "report.md").read_text("utf-8")
    assert "94.71%" in text and "0001" in text


def test_its_winner_is_trained_and_exported(resumed: Path) -> None:
    final = ("--seeds", "1", "--epochs", "2", "--references", "none", "--name", "final")
    trained = cnnsearch(resumed, "train", "best", "--run", "before", *final, "--json")
    (winner,) = trained["results"]
    assert (winner["label"], winner["params"]) == ("before:0001", 2626)
    keras = ("--run", "before", "--format", "keras", "--json")
    exported = cnnsearch(resumed, "export", "best", *keras)
    assert exported["trial"] == "0001" and exported["largest_difference"] < 1e-3
    assert list((resumed / "exports" / "best").glob("*.keras"))
