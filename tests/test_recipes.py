"""CONTRIBUTING's recipes, taken from its text and run: one new file, one line, and it works."""

import subprocess
import sys
from pathlib import Path

from tests.recipes import apply_recipe

BLOCK = """
from cnnsearch import Architecture, count
from cnnsearch.training.model import build

stage = {"block": {"type": "ghost", "cheap_kernel": 5}, "depth": 2, "width": 24, "stride": 2}
network = Architecture.from_data({"input": [16, 16, 3], "classes": 5, "stages": [stage]})
assert count(network).params_total == build(network).count_params()
"""


def run(program: str, environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_block_is_one_file_and_one_line(tmp_path: Path) -> None:
    run(BLOCK, apply_recipe("Adding a block family", tmp_path), tmp_path)
