"""CONTRIBUTING's recipes, taken from its text and run: one new file, one line, and it works."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.recipes import ROOT, apply_recipe

BLOCK = """
from cnnsearch import Architecture, count
from cnnsearch.training.model import build

stage = {"block": {"type": "ghost", "cheap_kernel": 5}, "depth": 2, "width": 24, "stride": 2}
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


def run(program: str, environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_block_is_one_file_and_one_line(tmp_path: Path) -> None:
    run(BLOCK, apply_recipe("Adding a block family", tmp_path), tmp_path)


def test_a_strategy_is_one_file_and_one_line(tmp_path: Path) -> None:
    environment = apply_recipe("Adding a strategy", tmp_path)
    shutil.copytree(ROOT / "tests" / "oracles", tmp_path / "tests" / "oracles")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    contract = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/oracles/test_contract.py", "-k", "local", "-q"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert contract.returncode == 0, contract.stdout
    passed = int(contract.stdout.rpartition(" passed")[0].split()[-1])
    assert passed > 40, contract.stdout
    run(STRATEGY, environment, tmp_path)
