"""Weights copied from one build of a network to another, by structure."""

from typing import Any

import numpy as np
import pytest

from cnnsearch.errors import ArchitectureError
from cnnsearch.training.weight_copy import copy_weights, list_weights


def values(tensor: Any) -> np.ndarray:
    return tensor.numpy() if hasattr(tensor, "numpy") else np.asarray(tensor)


def branched(*, swapped: bool = False, filters: int = 6, gamma: bool = True) -> Any:
    """A residual unit and two concatenated branches, its layers made in one order or the other."""
    import keras
    from keras import layers as kl

    inputs = keras.Input((8, 8, 3))
    x = kl.Conv2D(filters, 3, padding="same")(inputs)

    def residual() -> Any:
        y = kl.Conv2D(filters, 3, padding="same")(x)
        return kl.BatchNormalization(scale=gamma)(y)

    def around() -> Any:
        return kl.Conv2D(filters, 1)(x)

    first, second = (residual, around) if swapped else (around, residual)
    x = kl.Add()([first(), second()])
    x = kl.Concatenate()([kl.Conv2D(2, 1)(x), kl.Conv2D(2, 3, padding="same")(x)])
    return keras.Model(inputs, kl.Dense(5)(kl.GlobalAveragePooling2D()(x)))


def split(separable: bool) -> Any:
    """A separable convolution in one layer or in two; a classifier as dense layer or as 1x1."""
    import keras
    from keras import layers as kl

    inputs = keras.Input((8, 8, 3))
    if separable:
        x = kl.SeparableConv2D(7, 3, padding="same", use_bias=False)(inputs)
        outputs = kl.Dense(4)(kl.GlobalAveragePooling2D()(x))
    else:
        x = kl.DepthwiseConv2D(3, padding="same", use_bias=False)(inputs)
        x = kl.Conv2D(7, 1, use_bias=False)(x)
        outputs = kl.Flatten()(kl.Conv2D(4, 1)(kl.GlobalAveragePooling2D(keepdims=True)(x)))
    return keras.Model(inputs, outputs)


def randomised(model: Any) -> Any:
    rng = np.random.default_rng(0)
    for weight in list_weights(model):
        weight.variable.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


def outputs(model: Any) -> np.ndarray:
    images = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype("float32")
    return values(model(images, training=False))


def test_order_of_making_plays_no_part() -> None:
    source, ours = randomised(branched()), branched(swapped=True)
    assert np.abs(outputs(source) - outputs(ours)).max() > 0.1
    copy_weights(source, ours)
    np.testing.assert_allclose(outputs(ours), outputs(source), rtol=1e-5)


@pytest.mark.parametrize("separable", [True, False])
def test_one_function_wired_in_two_ways(separable: bool) -> None:
    source, ours = randomised(split(separable)), split(not separable)
    copy_weights(source, ours)
    np.testing.assert_allclose(outputs(ours), outputs(source), rtol=1e-5)


def test_the_head_can_be_left_out() -> None:
    source, ours = randomised(branched()), branched()
    before = values(ours.layers[-1].kernel)
    copy_weights(source, ours, head=False)
    np.testing.assert_array_equal(values(ours.layers[-1].kernel), before)
    np.testing.assert_array_equal(
        values(list_weights(ours)[0].variable),
        values(list_weights(source)[0].variable),
    )


def test_the_first_layer_that_differs_is_named_and_nothing_is_copied() -> None:
    source, ours = randomised(branched()), branched(filters=7)
    before = [values(w) for w in ours.weights]
    first = next(layer for layer in ours.layers if layer.weights)
    with pytest.raises(ArchitectureError, match=rf"3x3x3x6.*'{first.name}'.*3x3x3x7"):
        copy_weights(source, ours)
    for old, new in zip(before, ours.weights, strict=True):
        np.testing.assert_array_equal(old, values(new))


def test_weights_of_another_role_do_not_fit() -> None:
    with pytest.raises(ArchitectureError, match=r"beta 6.*gamma 6"):
        copy_weights(branched(gamma=False), branched())


def test_models_of_another_length_do_not_fit() -> None:
    import keras

    short, long = branched(), branched()
    longer = keras.Model(long.inputs, keras.layers.Dense(5, name="extra")(long.outputs[0]))
    with pytest.raises(ArchitectureError, match=r"no layer for the weights of 'extra'"):
        copy_weights(longer, short)
    with pytest.raises(ArchitectureError, match=r"no weights for layer 'extra'"):
        copy_weights(short, longer)


def test_a_very_deep_model_is_walked() -> None:
    import keras

    inputs = x = keras.Input((4,))
    for _ in range(600):
        x = keras.layers.Activation("linear")(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    assert [w.role for w in list_weights(model)] == ["kernel", "bias"]
