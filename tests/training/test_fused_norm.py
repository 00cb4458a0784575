"""Batch normalization by the fused kernel: Keras's values, gradients and moving statistics."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training import steps
from cnnsearch.training.fused_norm import use_fused_kernels
from tests.training.train import train

tf = pytest.importorskip("tensorflow")

MAP = np.random.default_rng(0).normal(3.0, 2.0, (4, 5, 6, 8)).astype("float32")


def compute(fused: bool, images: Any = MAP, **options: Any) -> list[Any]:
    """Returns output, gradients, and moving statistics after one step of training."""
    layer = keras.layers.BatchNormalization(momentum=0.7, epsilon=1e-3, **options)
    inputs = keras.Input(images.shape[1:])
    model = keras.Model(inputs, keras.Sequential([layer])(inputs))
    rng = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(1.0, 0.5, weight.shape))

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            if fused:
                with use_fused_kernels(model):
                    y = model(x, training=True)
            else:
                y = model(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) ** 3)
        weights = [weight.value for weight in layer.trainable_weights]
        return y, tape.gradient(loss, [x, *weights])

    y, gradients = step(tf.constant(images))
    return [np.asarray(v, "float32") for v in (y, *gradients, *layer.non_trainable_weights)]


@pytest.mark.parametrize(
    "options", [{}, {"scale": False}, {"center": False}, {"scale": False, "center": False}]
)
def test_values_gradients_and_statistics_are_those_of_keras(options: dict[str, bool]) -> None:
    found, expected = compute(True, **options), compute(False, **options)
    assert len(found) == len(expected) == 6 - len(options)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)
    for one, other in zip(found[-2:], expected[-2:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"scale": False, "center": False}], ids=str)
def test_values_of_evaluation_are_those_of_keras(options: dict[str, bool]) -> None:
    layer = keras.layers.BatchNormalization(epsilon=1e-3, **options)
    model = keras.Sequential([keras.Input(MAP.shape[1:]), layer])
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.uniform(0.5, 2.0, weight.shape))
    moving = [np.asarray(weight) for weight in layer.non_trainable_weights]
    function = tf.function(lambda images: model(images, training=False))
    with use_fused_kernels(model):
        traced = function.get_concrete_function(tf.constant(MAP))
    assert "FusedBatchNormV3" in {op.type for op in traced.graph.get_operations()}
    expected = model(MAP, training=False)
    np.testing.assert_allclose(traced(tf.constant(MAP)), expected, rtol=1e-5, atol=1e-6)
    for before, weight in zip(moving, layer.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(before, np.asarray(weight))


def test_single_values_have_no_variance() -> None:
    found, expected = compute(True, MAP[:1, :1, :1]), compute(False, MAP[:1, :1, :1])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "images"),
    [
        ({"trainable": False}, MAP),
        ({"axis": 1}, MAP),
        ({}, MAP.reshape(-1, 8)),
        ({}, MAP[..., :3]),
        ({"dtype": "mixed_bfloat16"}, MAP),
    ],
    ids=["frozen", "other axis", "no map", "three channels", "eight in bfloat16"],
)
def test_what_the_kernel_cannot_do_is_left_to_keras(options: Any, images: Any) -> None:
    for one, other in zip(compute(True, images, **options), compute(False, images, **options),
                          strict=True):  # fmt: skip
        np.testing.assert_array_equal(one, other)


def test_layers_are_keras_own_afterwards() -> None:
    layer = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((4, 4, 3)), layer])
    with pytest.raises(ZeroDivisionError), use_fused_kernels(model):
        assert "call" in vars(layer)
        raise ZeroDivisionError
    assert "call" not in vars(layer)
    assert layer.call.__func__ is keras.layers.BatchNormalization.call


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_learns_as_without_the_kernel(
    digits: Dataset, small: Architecture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    precision: Any,
) -> None:  # fmt: skip
    from contextlib import nullcontext

    recipe = TrainingRecipe(learning_rate=0.01, precision=precision)
    used = []

    def note(model: Any) -> Any:
        used.append(model)
        return use_fused_kernels(model)

    monkeypatch.setattr(steps, "use_fused_kernels", note)
    fused = train(small, recipe, digits, epochs=2, seed=1, checkpoint_dir=tmp_path / "fused")
    assert used, "the step does without"
    monkeypatch.setattr(steps, "use_fused_kernels", lambda model: nullcontext())
    plain = train(small, recipe, digits, epochs=2, seed=1, checkpoint_dir=tmp_path / "plain")
    assert fused.loss == pytest.approx(plain.loss, rel=2e-2)
    assert fused.val_accuracy == pytest.approx(plain.val_accuracy, abs=0.05)
