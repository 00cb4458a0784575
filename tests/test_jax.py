"""The JAX backend on a machine that has no TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class NoTensorFlow(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoTensorFlow())
"""

SPACE = """
input: [8, 8, 1]
classes: 10
stem: [{type: conv, filters: {choice: [4, 8]}}]
recipe: {epochs: 1, batch_size: 64}
"""


def test_a_search_of_two_trials_runs_on_jax_without_tensorflow(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)  # holds for every process that is started
    (tmp_path / "space.yaml").write_text(SPACE)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(tmp_path)}
    search = "search", "space.yaml", "--trials", "2", "--name", "r", "--json"
    done = subprocess.run(
        [sys.executable, "-m", "cnnsearch", *search],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    ended = [event for event in events if event["event"] == "ended"]
    assert [event["status"] for event in ended] == ["completed", "completed"]
    manifest = json.loads((tmp_path / "runs/r/run.json").read_text())
    assert manifest["environment"]["backend"] == "jax"
    probe = [sys.executable, "-c", "import tensorflow"]
    refused = subprocess.run(probe, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "No module named 'tensorflow'" in refused.stderr
