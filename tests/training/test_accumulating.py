"""A batch that is trained in parts: the same step, with the activations of one part in memory."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.data.views import take_share
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.messages import TrialTask, as_candidate_failure
from cnnsearch.training.trainer import Training
from cnnsearch.utils.hardware import count_oom_kills
from tests.conftest import architecture

STEP = """
import keras
import numpy as np
from cnnsearch.architecture.architecture import Architecture
from cnnsearch.training.batches import Batch
from cnnsearch.training.augmentation import draw_augmentation
from cnnsearch.training.model import build
from cnnsearch.training.optimizers import FusedOptimizer
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.losses import TrainingLoss
from cnnsearch.training.steps import compile_steps

network = Architecture.from_data({
    "input": [8, 8, 1], "classes": 3, "style": {"norm": "none"},
    "stem": [{"type": "conv", "filters": 4}],
    "stages": [{"block": "basic", "depth": 1, "width": 8, "stride": 2}],
})
recipe = TrainingRecipe(optimizer="sgd", learning_rate=0.1, warmup=0, mixup=0.4, erasing=0.5)
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (15, 8, 8, 1), dtype=np.uint8)
labels = np.arange(15, dtype=np.int32) % 3
batch = Batch(images, labels, np.ones(15, np.float32), draw_augmentation(recipe, 15, (8, 8), rng))


def trained(parts, splits=1):
    keras.utils.set_random_seed(3)
    model = build(network, mean=[0.5], std=[0.2])
    optimizer = FusedOptimizer(recipe, 10, model.trainable_variables)
    objective = TrainingLoss([1.0], 0.1, (1.0, 2.0, 0.5))
    steps = compile_steps(model, optimizer, objective, parts, splits=splits)
    report = np.asarray(steps.train([batch]))[0]
    steps.sync_variables()
    return report, [np.asarray(v) for v in model.trainable_variables]


def check():
    reference, whole = trained(1)
    before = trained(1)[1]
    assert all(np.array_equal(a, b) for a, b in zip(whole, before)), "not deterministic"
    for parts, splits in ((2, 1), (4, 1), (1, 2), (2, 8)):
        report, weights = trained(parts, splits)
        np.testing.assert_allclose(report, reference, rtol=1e-5)
        for a, b in zip(weights, whole, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
"""


def test_parts_of_a_batch_come_to_the_same_step() -> None:
    scope: dict[str, Any] = {}
    exec(compile(STEP, "step", "exec"), scope)
    scope["check"]()


@pytest.mark.slow
def test_parts_of_a_batch_come_to_the_same_step_on_jax(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    done = subprocess.run(
        [sys.executable, "-c", STEP + "\ncheck()\nprint('same')"],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.stdout.strip() == "same", done.stderr


def test_accumulated_gradients_train_and_resume(digits: Any, small: Any, tmp_path: Path) -> None:
    recipe = TrainingRecipe(epochs=2)
    training = Training(TrialTask("t", small, recipe, digits, tmp_path, 2, seed=3, accumulate=2))
    assert len(list(training.run())) == 2
    assert (training.get_measurement().val_accuracy or 0) > 0.5


def test_what_frameworks_raise_without_memory_is_out_of_memory() -> None:
    import tensorflow as tf

    exhausted = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    for error in (MemoryError(), exhausted, RuntimeError("RESOURCE_EXHAUSTED: Out of memory")):
        found = as_candidate_failure(error)
        assert found is not None and found.kind == "out_of_memory"
    assert as_candidate_failure(ValueError("shapes")) is None


def test_out_of_memory_kills_are_counted() -> None:
    assert count_oom_kills() >= 0
    assert np.isscalar(count_oom_kills())


LIMITED = """
import pickle, resource, sys
from cnnsearch.training.messages import Completed, TrialEnd
from cnnsearch.training.trial import run_trial

with open(sys.argv[1], "rb") as file:
    small, large = pickle.load(file)
*_, end = run_trial(small)  # frameworks are loaded, their threads started
assert isinstance(end.outcome, Completed), end
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
limit = used + 1200 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
*_, end = run_trial(large)
print(type(end.outcome).__name__)
"""


@pytest.mark.slow
def test_in_parts_a_candidate_trains_and_evaluates_in_less_memory(
    digits: Any, tmp_path: Path
) -> None:
    """One activation of a whole batch is 1 GiB, in training as in evaluation.

    TensorFlow on CPUs does not survive the limit: at some allocations it ends with a signal.
    """
    recipe = TrainingRecipe(batch_size=256)
    data = take_share(digits, 0.25)
    printed = []
    for parts in (1, 16):
        folder = tmp_path / str(parts)
        nets = [
            architecture(input=[side, side, 1], stages=[], stem=[{"type": "conv", "filters": n}])
            for side, n in ((8, 4), (128, 64))
        ]
        tasks = [
            TrialTask(str(number), net, recipe, data, folder / str(number), 1, accumulate=count)
            for number, (net, count) in enumerate(zip(nets, (1, parts), strict=True))
        ]
        folder.mkdir()
        (folder / "tasks").write_bytes(pickle.dumps(tasks))
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(folder / "tasks")],
            env={**os.environ, "KERAS_BACKEND": "tensorflow"}, capture_output=True, text=True,
        )  # fmt: skip
        printed.append(done.stdout.strip())
    assert printed[0] != "Completed"
    assert printed[1] == "Completed"
