"""CONTRIBUTING's recipes, taken from its text and run: one new file, one line, and it works."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipes import ROOT, apply_recipe

pytestmark = pytest.mark.programs

BLOCK = """
from cnnsearch import Architecture, count
from cnnsearch.training.model import build

stage = {"block": {"type": "mixconv", "kernels": [3, 5]}, "depth": 2, "width": 24, "stride": 2}
network = Architecture.from_data({"input": [16, 16, 3], "classes": 5, "stages": [stage]})
assert count(network).params_total == build(network).count_params()
"""

STRATEGY = """
import cnnsearch
from cnnsearch.oracles import describe_strategies

assert "local (neighbours of the best candidate, arXiv:2005.02960)" in describe_strategies()
space = '''
input: [8, 8, 1]
classes: 10
stages:
  - {block: {type: plain}, depth: 1, width: {int: [2, 16]}, stride: 2}
recipe: {epochs: 1, batch_size: 256}
'''
with open("space.yaml", "w") as file:
    file.write(space)
result = cnnsearch.search("space.yaml", strategy="local", trials=2, workers=0, runs="runs")
assert [trial.status for trial in result.trials] == ["completed"] * 2, result.trials
"""


def run(program: str, environment: dict[str, str], folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_block_is_one_file_and_one_line(tmp_path: Path) -> None:
    run(BLOCK, apply_recipe("Adding a block family", tmp_path), tmp_path)


CONTRACT = ("tests/oracles/test_contract.py", "tests/oracles/test_contract_state.py")


def test_a_strategy_is_one_file_and_one_line(tmp_path: Path) -> None:
    environment = apply_recipe("Adding a strategy", tmp_path)
    shutil.copytree(ROOT / "tests" / "oracles", tmp_path / "tests" / "oracles")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    contract = subprocess.run(
        [sys.executable, "-m", "pytest", *CONTRACT, "-k", "local", "-q"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert contract.returncode == 0, contract.stdout
    passed = int(contract.stdout.rpartition(" passed")[0].split()[-1])
    assert passed > 40, contract.stdout
    run(STRATEGY, environment, tmp_path)


SOURCE = """
import struct
from pathlib import Path
import numpy as np
from cnnsearch.cli import main
from cnnsearch.data import load
from cnnsearch.errors import DataError

rng = np.random.default_rng(0)
for what, array in {
    "images-idx3": rng.integers(0, 256, (60, 6, 5), np.uint8),
    "labels-idx1": (np.arange(60) % 3).astype(np.uint8),
}.items():
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    Path(f"train-{what}-ubyte").write_bytes(head + array.tobytes())
settings = {"image": (6, 5), "channels": None, "cache": Path("cache")}
first = load("idx:.", **settings)
assert (first.class_names, first.channels) == (("0", "1", "2"), 1)
assert first.train.count + first.validation.count + first.test.count == 60
again = load("idx:.", **settings)
assert again == first and again.test.images().shape == (first.test.count, 6, 5, 1)
try:
    load("idx:nowhere", **settings)
except DataError as error:
    print(error)
import sys
sys.argv = ["cnnsearch", "search", "--help"]
main()
"""


def test_a_data_source_is_one_file_and_one_line(tmp_path: Path) -> None:
    printed = run(SOURCE, apply_recipe("Adding a data source", tmp_path), tmp_path)
    assert "idx:nowhere: there is no such folder" in printed
    assert "or idx:FOLDER; default: digits." in " ".join(printed.split())


OBJECTIVE = """
import sys
import cnnsearch
from cnnsearch.cli import main

space = '''
input: [8, 8, 1]
classes: 10
stem: [{type: conv, filters: {choice: [4, 8]}}]
recipe: {epochs: 2, batch_size: 128, learning_rate: 0.01}
'''
with open("space.yaml", "w") as file:
    file.write(space)
result = cnnsearch.search(
    "space.yaml", trials=2, strategy="random", objective="min_recall", workers=0, runs="runs",
    name="r",
)
assert [trial.status for trial in result.trials] == ["completed"] * 2, result.trials
assert [t.score for t in result.trials] == [t.metrics["val_min_recall"] for t in result.trials]
assert all("val_macro_f1" in trial.metrics for trial in result.trials)
sys.argv = ["cnnsearch", *sys.argv[1:]]
main()
"""


def test_an_objective_is_one_file_and_one_line(tmp_path: Path) -> None:
    environment = apply_recipe("Adding an objective", tmp_path)
    printed = run(OBJECTIVE, environment, tmp_path, "results", "r")
    assert "val lowest recall" in " ".join(printed.split())
    shutil.copy(ROOT / "tests" / "training" / "test_objectives.py", tmp_path)
    contract = subprocess.run(
        [sys.executable, "-m", "pytest", "test_objectives.py", "-k", "min_recall", "-q"],
        env=environment, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert contract.returncode == 0, contract.stdout
    assert "2 passed" in contract.stdout
    shown = subprocess.run(
        [sys.executable, "-m", "cnnsearch", "search", "--help"],
        env=environment, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert "min_recall or int8_accuracy" in " ".join(shown.stdout.split())
