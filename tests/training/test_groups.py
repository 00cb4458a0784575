"""Several training steps in one call: the same steps, to the last digit."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.space.recipe import RandAugment, TrainingRecipe
from cnnsearch.training.augmentation import draw_augmentation
from cnnsearch.training.batches import MOST_GROUPED, Batch, TrainingBatches
from cnnsearch.training.losses import TrainingLoss
from cnnsearch.training.messages import CandidateFailure, TrialTask
from cnnsearch.training.model import build
from cnnsearch.training.optimizers import FusedOptimizer
from cnnsearch.training.steps import TensorFlowSteps, compile_steps
from cnnsearch.training.trainer import CHECK_EVERY, Training
from tests.conftest import architecture

COUNT, SIDE = 6, 8
RECIPE = TrainingRecipe(
    mixup=0.4, erasing=0.5, randaugment=RandAugment(layers=2), learning_rate=0.1, ema=0.9
)


def make_batch(number: int) -> Batch:
    rng = np.random.default_rng(number)
    images = rng.integers(0, 256, (COUNT, SIDE, SIDE, 1), dtype=np.uint8)
    labels = rng.integers(0, 3, COUNT).astype(np.int32)
    draw = draw_augmentation(RECIPE, COUNT, (SIDE, SIDE), rng)
    return Batch(images, labels, np.ones(COUNT, np.float32), draw)


def train(groups: list[list[int]], accumulate: int = 1) -> tuple[Any, list[Any]]:
    """Returns the reports of all steps, and all variables afterwards."""
    keras.utils.set_random_seed(3)
    model = build(architecture(classes=3), mean=[0.5], std=[0.2])
    optimizer = FusedOptimizer(RECIPE, 10, model.trainable_variables)
    steps = compile_steps(model, optimizer, TrainingLoss([1.0], 0.1), accumulate)
    reports = [np.asarray(steps.train([make_batch(n) for n in group])) for group in groups]
    steps.sync_variables()
    return np.concatenate(reports), [
        np.asarray(v) for v in [*model.variables, *optimizer.variables]
    ]


def check_groups(accumulate: int) -> None:
    reports, variables = train([[0], [1], [2], [3]], accumulate)
    assert reports.shape == (4, 2) and len(np.unique(reports[:, 0])) == 4
    for groups in ([[0, 1, 2, 3]], [[0], [1, 2, 3]], [[0, 1, 2], [3]]):
        found, after = train(groups, accumulate)
        np.testing.assert_array_equal(found, reports)
        for one, other in zip(after, variables, strict=True):
            np.testing.assert_array_equal(one, other)
    _, swapped = train([[1, 0, 2, 3]], accumulate)
    assert any(not np.array_equal(a, b) for a, b in zip(swapped, variables, strict=True))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_steps_in_one_call_are_those_of_single_calls(accumulate: int) -> None:
    check_groups(accumulate)


@pytest.mark.slow
def test_steps_in_one_call_are_those_of_single_calls_on_jax(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    code = (
        f"import {__name__} as tests; tests.check_groups(1); tests.check_groups(2); print('same')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.endswith("same\n"), done.stderr


def test_a_step_is_traced_once_for_groups_of_any_size() -> None:
    calls = []

    class Loss(TrainingLoss):
        def compute(self, targets: Any, outputs: Any) -> Any:
            calls.append(1)
            return super().compute(targets, outputs)

    model = build(architecture(classes=3), mean=[0.5], std=[0.2])
    steps = compile_steps(
        model, FusedOptimizer(RECIPE, 10, model.trainable_variables), Loss([1.0], 0.1)
    )
    for size in (1, 4, 2):
        assert np.asarray(steps.train([make_batch(n) for n in range(size)])).shape == (size, 2)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("side", "batches", "expected"),
    [
        (8, 1, [1]),
        (8, 70, [1, MOST_GROUPED, MOST_GROUPED, 70 - 1 - 2 * MOST_GROUPED]),
        (512, 10, [1, 4, 4, 1]),  # a MiB each: four to a call
        (2048, 3, [1, 1, 1]),
    ],
)
def test_the_first_batch_comes_alone_and_large_images_in_small_groups(
    side: int, batches: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(self: TrainingBatches, labels: Any, order: Any, epoch: int, step: int) -> Batch:
        return Batch(np.zeros((4, side, side, 1), np.uint8), labels[:4] + step, labels[:4], {})

    class Labels(Split):
        def labels(self) -> Any:
            return np.zeros(self.count, np.int32)

    monkeypatch.setattr(TrainingBatches, "_load", load)
    split = Labels("train", 4 * batches + 3, (side, side, 1), Path("none"))
    groups = list(TrainingBatches(split, RECIPE, 4, 0, False, 0.0).iterate_groups(1))
    assert [len(group) for group in groups] == expected
    assert [batch.labels[0] for group in groups for batch in group] == list(range(batches))


def test_a_loss_that_is_no_number_ends_the_training_before_the_epoch_does(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = list[int]()

    def train_none(self: TensorFlowSteps, batches: Sequence[Batch]) -> Any:
        steps.append(len(batches))
        return np.full((len(batches), 2), np.nan, np.float32)

    monkeypatch.setattr(TensorFlowSteps, "train", train_none)
    recipe = TrainingRecipe(batch_size=8)
    training = Training(TrialTask("t", architecture(), recipe, digits, tmp_path, 2))
    with pytest.raises(CandidateFailure, match="nan"):
        list(training.run())
    assert steps == [1, MOST_GROUPED] and CHECK_EVERY == 32
    assert sum(steps) < digits.train.count // 8
