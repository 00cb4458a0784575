"""The hooks of the kill harness name what there is: a renamed function would never be killed in."""

import argparse
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cnnsearch.oracles import STRATEGIES
from cnnsearch.oracles.evolution import RegularizedEvolution
from tests.faults import kill_driver, moments, report
from tests.faults.searches import Plan, Search

HOOKS = Path(__file__).parent / "hooks"


@pytest.fixture(scope="module")
def hooks() -> Any:
    spec = importlib.util.spec_from_file_location("hooks_of_a_test", HOOKS / "sitecustomize.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_point_is_there(hooks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HOOKS))
    for module, names in hooks.POINTS.items():
        for name in names:
            owner = importlib.import_module(module)
            for part in name.split("."):
                owner = getattr(owner, part)


def test_the_driver_is_killed_at_points_that_there_are(hooks: Any) -> None:
    shown = {
        name if "." in name else f"{module.rpartition('.')[2]}.{name}"
        for module, names in hooks.POINTS.items()
        for name in names
    }
    assert set(moments.POINTS) <= shown


def test_every_strategy_is_killed_after_its_random_start() -> None:
    assert set(kill_driver.NAMES) == {strategy.name for strategy in STRATEGIES}
    most = RegularizedEvolution.earlier_parameters["founders"]  # now it takes fewer
    assert 2 * most <= kill_driver.TRIALS


def test_a_killed_stand_in_resumes_with_its_own_numbers(tmp_path: Path) -> None:
    """Two sessions of one trial, the first of which is killed, give what one gives."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from types import SimpleNamespace as N; import os, stand_in\n"
        "task = N(trial_id='1', architecture=N(fingerprint='x'), seed=1, continues=None, "
        "initial_epoch=0, epochs=4, directory=Path(sys.argv[2]))\n"
        "for number, event in enumerate(stand_in.run_trial(task), 1):\n"
        "    if str(number) == sys.argv[3]: os.kill(os.getpid(), 9)\n"
        "print(event.outcome.measurement.validation)\n"
    )
    said = []
    for folder, kill in (("whole", "0"), ("killed", "3"), ("killed", "0")):
        done = subprocess.run(
            [sys.executable, "-c", program, str(HOOKS), str(tmp_path / folder), kill],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == (-9 if kill == "3" else 0), done.stderr
        said.append(done.stdout)
    assert said[0] == said[2] != ""


def test_a_table_opens_with_the_command_that_made_it(tmp_path: Path) -> None:
    asked = argparse.Namespace(kills=0, a_search=6, real=True, quick=False, out=tmp_path)
    report.write(tmp_path / "t.txt", "kill_driver", asked, "text")
    (command, *_) = (tmp_path / "t.txt").read_text().splitlines()
    assert command == "$ python -m tests.faults.kill_driver --kills 0 --a-search 6 --real"


def test_a_plan_with_stand_ins_says_so_to_the_hooks(tmp_path: Path) -> None:
    assert "CNNSEARCH_FAULT_STANDIN" in Search(Plan(stand_in=0.02), tmp_path).variables()
    assert "CNNSEARCH_FAULT_STANDIN" not in Search(Plan(), tmp_path).variables()
