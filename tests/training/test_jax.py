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
recipe: {epochs: 2, batch_size: 64, quantize_aware: 0.5}
"""

PHASES = """
from pathlib import Path
import numpy as np
from cnnsearch.training import checkpoint
from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import from_arrays
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.messages import TrialTask
from cnnsearch.training.trainer import Training

rng = np.random.default_rng(0)
x, y = rng.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8), np.arange(60) % 3
data = from_arrays(x, y, cache=Path("cache"))
network = {"input": [8, 8, 1], "classes": 3, "stem": [{"type": "conv", "filters": 4}]}
network = Architecture.from_data(network)
recipe = TrainingRecipe(batch_size=32, trainable="norms", unfreeze_after=0.5)
weights = (1.0, 2.0, 0.5)


def run(folder, stop=0):
    task = TrialTask("t", network, recipe, data, Path(folder), 2, class_weights=weights,
                     objective="macro_f1")
    training = Training(task)
    seen = [np.asarray(training.model.trainable_variables[0])]
    for epoch in training.run():
        seen.append(checkpoint.read(Path(folder) / checkpoint.STATE).arrays)
        if epoch.number == stop:
            return seen, training
    return seen, training


(before, first, second), training = run("whole")
paths = [v.path for v in training.model.variables]
moved = {p for p, a, b in zip(paths, first, second, strict=False) if not np.array_equal(a, b)}
assert any("kernel" in p and not p.startswith("head") for p in moved), moved
assert training.get_measurement().params_trained == 4 + 4 + 4 * 3 + 3
run("part", stop=1)
_, resumed = run("part")
ends = [t.get_measurement().metrics for t in (training, resumed)]
for name in ("loss", "val_loss", "val_macro_f1", "val_balanced_accuracy"):
    assert ends[0][name] == ends[1][name], (name, ends)
print("same")
"""


@pytest.mark.slow
def test_norms_then_all_is_the_same_on_jax_if_interrupted_between(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", PHASES],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "same"


@pytest.mark.programs
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
