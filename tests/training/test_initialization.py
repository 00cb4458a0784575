"""Initial weights from images and positions, and the recipe keys that came with them."""

from typing import Any

import keras
import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.batches import TrainingBatches
from cnnsearch.training.initialization import compute_whitening, initialize_weights
from cnnsearch.training.model import build
from cnnsearch.training.optimizers import FusedOptimizer

NETWORK = {
    "input": [8, 8, 1],
    "classes": 10,
    "stem": [{"type": "conv", "filters": 24}],
    "stages": [{"block": {"type": "plain"}, "depth": 1, "width": 24}],
}


def make_model(data: Dataset, **recipe: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = build(Architecture.from_data(NETWORK), mean=data.mean, std=data.std, image=data.image)
    initialize_weights(model, TrainingRecipe(**recipe), data.train, seed=0)
    return model


def list_kernels(model: Any) -> list[Any]:
    return [np.asarray(x.kernel) for x in model.layers if isinstance(x, keras.layers.Conv2D)]


def test_by_default_nothing_is_replaced(digits: Dataset) -> None:
    keras.utils.set_random_seed(0)
    network = Architecture.from_data(NETWORK)
    untouched = build(network, mean=digits.mean, std=digits.std, image=digits.image)
    for one, other in zip(list_kernels(untouched), list_kernels(make_model(digits)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_responses_of_the_whitened_convolution_are_uncorrelated() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(3, 3))
    maps = (rng.normal(size=(64, 12, 12, 3)) @ mixing).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 3, 60)).astype(np.float32)
    found = compute_whitening(maps, kernel, rng)
    np.testing.assert_array_equal(found[..., 54:], kernel[..., 54:])  # 2 * 27 are enough
    responses = np.asarray(keras.ops.conv(maps, found[..., :54:2], padding="valid"))
    correlation = np.corrcoef(responses.reshape(-1, 27).T)
    assert np.abs(correlation - np.eye(27)).max() < 0.05
    np.testing.assert_allclose(responses.std(axis=(0, 1, 2)), 1.0, atol=0.1)
    np.testing.assert_array_equal(found[..., 1:54:2], -found[..., :54:2])


def test_few_filters_take_the_directions_of_most_variance() -> None:
    maps = np.zeros((8, 6, 6, 2), np.float32)
    maps[..., 1] = np.random.default_rng(0).normal(size=(8, 6, 6))
    kernel = np.zeros((1, 1, 2, 2), np.float32)
    found = compute_whitening(maps, kernel, np.random.default_rng(0))
    assert np.abs(found[0, 0, 0]).max() < 1e-6
    np.testing.assert_allclose(np.abs(found[0, 0, 1]), 1 / maps[..., 1].std(), rtol=0.05)


def test_only_the_first_convolution_is_whitened(digits: Dataset) -> None:
    plain, whitened = (list_kernels(make_model(digits, **r)) for r in ({}, {"whitening": True}))
    assert not np.allclose(plain[0], whitened[0])
    np.testing.assert_array_equal(plain[1], whitened[1])


def test_dirac_makes_a_convolution_of_equal_width_the_identity(digits: Dataset) -> None:
    model = make_model(digits, dirac=True)
    second = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)][1]
    maps = np.random.default_rng(0).normal(size=(2, 8, 8, 24)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(second(maps)), maps, atol=1e-6)
    np.testing.assert_array_equal(list_kernels(model)[0], list_kernels(make_model(digits))[0])


def test_alternate_flips_mirror_each_image_in_every_second_epoch(digits: Dataset) -> None:
    recipe = TrainingRecipe(flip="alternate", batch_size=digits.train.count, shift=0.0)
    batches = TrainingBatches.create(digits, recipe, 3)
    originals = np.asarray(digits.train.images())
    mirrored = []
    for epoch in (1, 2, 3):
        order = np.random.default_rng([3, epoch]).permutation(digits.train.count)
        ((batch,),) = batches.iterate_groups(epoch)
        shown = np.empty_like(originals)
        shown[order] = batch.images
        symmetric = (originals == originals[:, :, ::-1]).all(axis=(1, 2, 3))
        mirrored.append((shown != originals).any(axis=(1, 2, 3))[~symmetric])
    np.testing.assert_array_equal(mirrored[0], ~mirrored[1])
    np.testing.assert_array_equal(mirrored[0], mirrored[2])
    assert 0.4 < mirrored[0].mean() < 0.6


def test_the_bias_rate_moves_normalization_biases_alone() -> None:
    moved = []
    for rate in (1.0, 8.0):
        beta = keras.Variable(np.zeros(3), name="beta")
        gamma = keras.Variable(np.zeros(3), name="gamma")
        recipe = TrainingRecipe(
            optimizer="sgd", learning_rate=0.1, warmup=0.0, schedule="constant", momentum=0.0,
            weight_decay=0.0, norm_bias_rate=rate,
        )  # fmt: skip
        FusedOptimizer(recipe, 10, [beta, gamma]).apply([np.ones(3, "float32")] * 2)
        moved.append((float(np.asarray(beta)[0]), float(np.asarray(gamma)[0])))
    assert moved[0] == pytest.approx((-0.1, -0.1))
    assert moved[1] == pytest.approx((-0.8, -0.1))
