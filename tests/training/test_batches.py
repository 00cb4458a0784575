"""Batches: reproducible, exact, shifted and flipped."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnnsearch.data import Dataset
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.batches import Batch, TrainingBatches, iterate_validation, shift_images


def by_hand(image: Any, flip: bool, dy: int, dx: int) -> Any:
    """Pads generously with the edge, cuts the shifted window, and mirrors it first."""
    height, width = image.shape[:2]
    image = image[:, ::-1] if flip else image
    padded = np.pad(image, ((height, height), (width, width), (0, 0)), mode="edge")
    return padded[height - dy : 2 * height - dy, width - dx : 2 * width - dx]


def test_shifted_is_what_shifting_and_mirroring_image_by_image_gives() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 7, 9, 3), dtype=np.uint8)
    rows = rng.integers(0, 20, 50)
    flip, dy, dx = rng.random(50) < 0.5, rng.integers(-3, 4, 50), rng.integers(-4, 5, 50)
    expected = [by_hand(images[r], f, y, x) for r, f, y, x in zip(rows, flip, dy, dx, strict=True)]
    result = shift_images(images[rows], flip, dy, dx)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, expected)


def batches(data: Dataset, seed: int = 1, **recipe: Any) -> TrainingBatches:
    return TrainingBatches.create(data, TrainingRecipe(**recipe), seed)


def list_batches(made: TrainingBatches, epoch: int) -> list[Batch]:
    return [batch for group in made.iterate_groups(epoch) for batch in group]


def test_an_epoch_depends_on_seed_and_number_alone(digits: Dataset) -> None:
    first, again = (list_batches(batches(digits), 3) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)
    for other in (list_batches(batches(digits), 4), list_batches(batches(digits, seed=2), 3)):
        assert not np.array_equal(first[0].images, other[0].images)


def test_an_epoch_shows_each_image_at_most_once_in_full_batches(digits: Dataset) -> None:
    plain = batches(digits, batch_size=100, shift=0.0)
    epoch = list_batches(plain, 1)
    assert len(epoch) == len(plain) == digits.train.count // 100
    assert {len(batch.labels) for batch in epoch} == {100}
    seen = np.concatenate([batch.images.reshape(100, -1) for batch in epoch])
    stored = np.asarray(digits.train.images()).reshape(digits.train.count, -1)
    assert len(np.unique(seen, axis=0)) <= len(np.unique(stored, axis=0))
    left_out = digits.train.count - len(epoch) * 100
    assert len(np.unique(seen, axis=0)) >= len(np.unique(stored, axis=0)) - left_out


def test_a_batch_size_above_the_number_of_images_takes_them_all(digits: Dataset) -> None:
    whole = batches(digits, batch_size=60_000)
    assert [len(batch.labels) for batch in list_batches(whole, 1)] == [digits.train.count]


def test_digits_are_shifted_but_not_mirrored_by_default(digits: Dataset) -> None:
    assert (batches(digits).flip, batches(digits).shift) == (False, 1 / 8)
    assert batches(digits, flip=True).flip
    assert batches(replace(digits, flip=True)).flip
    assert not batches(replace(digits, flip=True), flip=False).flip


def test_images_and_labels_stay_together(digits: Dataset) -> None:
    images = np.asarray(digits.train.images()).reshape(digits.train.count, -1)
    labels = digits.train.labels()
    known = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for batch in list_batches(batches(digits, shift=0.0), 2):
        for image, label in zip(batch.images, batch.labels, strict=True):
            assert known[image.tobytes()] == label


@pytest.mark.parametrize("size", [1, 7, 100, 359, 1000])
def test_validation_counts_every_image_once_in_batches_of_one_shape(
    digits: Dataset, size: int
) -> None:
    found = list(iterate_validation(digits.validation, size))
    assert len({batch.images.shape for batch in found}) == 1
    assert len(found[0].labels) <= size
    weights = np.concatenate([batch.weights for batch in found]).astype(bool)
    images = np.concatenate([batch.images for batch in found])[weights]
    labels = np.concatenate([batch.labels for batch in found])[weights]
    np.testing.assert_array_equal(images, digits.validation.images())
    np.testing.assert_array_equal(labels, digits.validation.labels())
