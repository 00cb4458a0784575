"""A batch whose parts are computed side by side, on the cores of a CPU."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.data.views import take_share
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.batches import Batch
from cnnsearch.training.losses import TrainingLoss
from cnnsearch.training.messages import TrialTask
from cnnsearch.training.micro_batches import split_rows
from cnnsearch.training.model import build
from cnnsearch.training.optimizers import FusedOptimizer
from cnnsearch.training.steps import Steps, compile_steps
from cnnsearch.training.trainer import Training
from tests.conftest import architecture

COUNT = 12
RNG = np.random.default_rng(0)
# The second half is brighter, so that its statistics are others than those of the whole.
IMAGES = (RNG.integers(0, 128, (COUNT, 8, 8, 1)) + 120 * (np.arange(COUNT) >= COUNT // 2)[
    :, None, None, None]).astype("uint8")  # fmt: skip
LABELS = np.arange(COUNT, dtype=np.int32) % 3
WEIGHTS = np.linspace(0.5, 1.5, COUNT, dtype=np.float32)
SGD = TrainingRecipe(optimizer="sgd", learning_rate=0.1, warmup=0.0, weight_decay=0.0)


def make_steps(splits: int, norm: str = "batch") -> tuple[Any, Steps]:
    keras.utils.set_random_seed(3)
    network = architecture(classes=3, style={"norm": norm})
    model = build(network, mean=[0.5], std=[0.2], batch_norm_momentum=0.6)
    optimizer = FusedOptimizer(SGD, 10, model.trainable_variables)
    return model, compile_steps(model, optimizer, TrainingLoss([1.0], 0.1), splits=splits)


def take(rows: slice) -> Batch:
    return Batch(IMAGES[rows], LABELS[rows], WEIGHTS[rows], {})


def train(splits: int, rows: slice = slice(None), norm: str = "batch") -> tuple[Any, Any, Any]:
    """Returns a step's report, trainable weights, and other variables by path."""
    model, steps = make_steps(splits, norm)
    report = np.asarray(steps.train([take(rows)]))[0]
    steps.sync_variables()
    others = {v.path: np.asarray(v) for v in model.non_trainable_variables if "moving" in v.path}
    return report, [np.asarray(v) for v in model.trainable_variables], others


def test_without_normalization_the_step_is_that_of_the_whole_batch() -> None:
    report, whole, _ = train(1, norm="none")
    for splits in (2, 5, 100):
        found, weights, _ = train(splits, norm="none")
        np.testing.assert_allclose(found, report, rtol=1e-5)
        for one, other in zip(weights, whole, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_normalization_takes_the_statistics_of_a_part() -> None:
    """One step of SGD is linear in the gradient: the mean of what the halves come to alone."""
    halves = [train(1, rows) for rows in split_rows(COUNT, 2)]
    report, weights, moving = train(2)
    np.testing.assert_allclose(report, np.mean([half[0] for half in halves], axis=0), rtol=1e-5)
    for found, *alone in zip(weights, *(half[1] for half in halves), strict=True):
        np.testing.assert_allclose(found, np.mean(alone, axis=0), atol=1e-6)
    whole = train(1)[1]
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(weights, whole, strict=True))
    assert moving
    for path, found in moving.items():
        start = 0.0 if "mean" in path else 1.0  # both halves move it, the first one first
        first, second = ((half[2][path] - 0.6 * start) / 0.4 for half in halves)
        expected = 0.6 * (0.6 * start + 0.4 * first) + 0.4 * second
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_evaluation_in_parts_is_that_of_the_whole_batch() -> None:
    expected = np.asarray(make_steps(1)[1].evaluate(take(slice(None))))
    for splits in (2, 5):
        found = np.asarray(make_steps(splits)[1].evaluate(take(slice(None))))
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_rows_are_split_evenly() -> None:
    assert [r.stop - r.start for r in split_rows(10, 4)] == [2, 3, 2, 3]
    assert [(r.start, r.stop) for r in split_rows(2, 5)] == [(0, 1), (1, 2)]


def test_a_training_in_parts_is_the_same_again_and_after_a_kill(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    recipe = TrainingRecipe(epochs=3, batch_size=32, batch_splits=2)
    data = take_share(digits, 0.3)

    def run(folder: str, stop: int = 0) -> list[Any]:
        training = Training(TrialTask("t", small, recipe, data, tmp_path / folder, 3, seed=3))
        for step in training.run():
            if not isinstance(step, str) and step.number == stop:
                break
        return [np.asarray(v) for v in training.model.variables]

    whole, again = run("whole"), run("again")
    run("killed", stop=1)
    for first, second, resumed in zip(whole, again, run("killed"), strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, resumed)


THREADS = """
from cnnsearch.utils.hardware import limit_threads
import tensorflow as tf
limit_threads({threads}, {branches})
tf.constant(1) + 1  # from here on the figures are fixed
threading = tf.config.threading
print(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads())
"""


@pytest.mark.parametrize(
    ("threads", "branches", "expected"), [(4, 1, "4 4"), (4, 2, "2 4"), (1, 2, "1 1")]
)
def test_parts_share_the_threads(threads: int, branches: int, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", THREADS.format(threads=threads, branches=branches)],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() == expected


@pytest.mark.slow
def test_parts_are_those_of_jax_too(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    chosen = "whole_batch or statistics_of_a_part"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen]
    done = subprocess.run(
        [*command, f"--basetemp={tmp_path / 'jax'}", __file__],
        env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert "3 passed" in done.stdout, done.stdout
