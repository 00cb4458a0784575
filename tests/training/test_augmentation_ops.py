"""Augmentation inside the step does to pixels and labels what was drawn, on both backends."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras import ops

from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.augmentation import draw_augmentation
from cnnsearch.training.augmentation_ops import Targets, augment
from cnnsearch.training.losses import cross_entropy, target_cross_entropy, weigh_examples

RNG = np.random.default_rng(7)
IMAGES = RNG.integers(0, 256, (4, 12, 10, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 1], np.int32)


def applied(draw: dict[str, Any]) -> tuple[Any, Targets]:
    images, targets = augment(IMAGES, LABELS, draw)
    return np.asarray(images), targets


def neutral(count: int = 4, layers: int = 1) -> dict[str, Any]:
    row = np.array([1, 1, 1, 1, 256, 1, 0], np.float32)
    colour = np.tile(row[None, :, None], (layers, 1, count))
    affine = np.tile(np.array([1, 0, 0, 0, 1, 0, 0, 0], np.float32), (count, 1))
    return {"affine": affine, "colour": colour}


def test_nothing_drawn_is_nothing_done() -> None:
    images, targets = augment(IMAGES, LABELS, {})
    assert images is IMAGES
    assert targets.others is None


def test_neutral_operations_leave_every_pixel() -> None:
    np.testing.assert_array_equal(applied(neutral(layers=2))[0], IMAGES)


def test_mixup_is_the_convex_combination_of_images_and_losses() -> None:
    order = np.array([2, 3, 0, 1], np.int32)
    drawn = {"order": order, "keep": np.float32(0.7), "box": np.zeros(4, np.float32)}
    images, targets = applied({**drawn, "share": np.float32(0.7)})
    expected = 0.7 * IMAGES + 0.3 * IMAGES[order]
    np.testing.assert_allclose(images, expected, atol=0.51)
    logits = RNG.normal(size=(4, 3)).astype(np.float32)
    mixed = 0.7 * np.asarray(cross_entropy(LABELS, logits)) + 0.3 * np.asarray(
        cross_entropy(LABELS[order], logits)
    )
    np.testing.assert_allclose(
        np.asarray(target_cross_entropy(targets, logits, 0.0)), mixed, rtol=1e-5
    )
    weights = np.asarray(weigh_examples(targets, ops.convert_to_tensor([1.0, 2.0, 4.0])))
    np.testing.assert_allclose(weights, [0.7 + 1.2, 2.0, 2.8 + 0.3, 2.0], rtol=1e-5)


def test_cutmix_puts_a_rectangle_of_another_image() -> None:
    order = np.array([1, 0, 3, 2], np.int32)
    box = np.array([2, 3, 7, 9], np.float32)
    images, _ = applied(
        {"order": order, "keep": np.float32(1), "box": box, "share": np.float32(0.75)}
    )
    expected = IMAGES.copy()
    expected[:, 2:7, 3:9] = IMAGES[order][:, 2:7, 3:9]
    np.testing.assert_array_equal(images, expected)


def test_erasing_fills_each_images_own_rectangle_with_its_mean() -> None:
    boxes = np.array([[0, 0, 0, 0], [1, 2, 4, 5], [0, 0, 12, 10], [0, 0, 0, 0]], np.float32)
    images, _ = applied({"erase": boxes})
    np.testing.assert_array_equal(images[[0, 3]], IMAGES[[0, 3]])
    mean = np.round(IMAGES[1].mean(axis=(0, 1)))
    np.testing.assert_allclose(images[1, 1:4, 2:5], np.broadcast_to(mean, (3, 3, 3)), atol=1)
    assert (images[2] == images[2, 0, 0]).all()


def test_a_translation_moves_pixels_and_fills_with_grey() -> None:
    drawn = neutral()
    drawn["affine"][:, 2] = 3.0  # output (x, y) is input (x + 3, y)
    images, _ = applied(drawn)
    np.testing.assert_allclose(images[:, :, :-3], IMAGES[:, :, 3:], atol=1)
    assert (images[:, :, -2:] == 128).all()


@pytest.mark.parametrize(
    ("row", "factor", "expected"),
    [
        (0, 0.5, lambda x: x * 0.5),
        (4, 100.0, lambda x: np.where(x >= 100, 255 - x, x)),
        (5, 16.0, lambda x: np.floor(x / 16) * 16),
    ],
)
def test_colours_change_by_their_factor(row: int, factor: float, expected: Any) -> None:
    drawn = neutral()
    drawn["colour"][0, row, 1] = factor
    images, _ = applied(drawn)
    np.testing.assert_array_equal(images[[0, 2, 3]], IMAGES[[0, 2, 3]])
    np.testing.assert_allclose(images[1], expected(IMAGES[1].astype(float)), atol=0.51)


def test_no_contrast_is_one_grey() -> None:
    drawn = neutral()
    drawn["colour"][0, 1, 0] = 0.0
    assert np.ptp(applied(drawn)[0][0]) == 0


PROGRAM = """
import json, sys
import numpy as np
from cnnsearch.training.augmentation import draw_augmentation
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.augmentation_ops import augment
images = np.load(sys.argv[1])
recipe = TrainingRecipe.from_data(json.loads(sys.argv[2]))
drawn = draw_augmentation(recipe, len(images), images.shape[1:3], np.random.default_rng(3))
labels = np.arange(len(images), dtype=np.int32)
import jax
found, targets = jax.jit(augment)(images, labels, drawn)
np.save(sys.argv[3], np.asarray(found))
"""


def test_both_backends_give_the_same_images(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    asked = {"randaugment": {"layers": 2, "magnitude": 6}, "erasing": 0.5, "mixup": 0.4}
    images = RNG.integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "in.npy", images)
    given = [str(tmp_path / "in.npy"), json.dumps(asked), str(tmp_path / "out.npy")]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", PROGRAM, *given], env=environment, check=True)
    recipe = TrainingRecipe.from_data(asked)
    drawn = draw_augmentation(recipe, 16, (16, 16), np.random.default_rng(3))
    here, _ = augment(images, np.arange(16, dtype=np.int32), drawn)
    away = np.abs(np.asarray(here).astype(int) - np.load(tmp_path / "out.npy").astype(int))
    assert (away > 1).mean() < 0.01  # interpolation may round, and solarize at its threshold
