"""Layers that Keras does not have, against their formulas in NumPy."""

import numpy as np
import pytest


@pytest.fixture
def maps() -> np.ndarray:
    """Maps of which two channels are 0 everywhere, as ReLU leaves dead ones."""
    found = np.random.default_rng(0).normal(size=(2, 5, 4, 8)).astype("float32")
    found[..., 2] = 0.0
    found[0, ..., 5] = 0.0
    return found


def test_global_response_normalization_is_the_papers(maps: np.ndarray) -> None:
    from cnnsearch.training.layers import GlobalResponseNormalization

    layer = GlobalResponseNormalization()
    layer.build(maps.shape)
    gamma, beta = np.linspace(-1, 1, 8), np.linspace(2, 3, 8)
    layer.set_weights([gamma, beta])
    energy = np.sqrt((maps**2).sum((1, 2), keepdims=True))  # arXiv:2301.00808, algorithm 1
    expected = gamma * maps * energy / (energy.mean(-1, keepdims=True) + 1e-6) + beta + maps
    np.testing.assert_allclose(layer(maps), expected, rtol=1e-5, atol=1e-5)


def test_a_dead_channel_has_a_finite_gradient(maps: np.ndarray) -> None:
    import tensorflow as tf

    from cnnsearch.training.layers import GlobalResponseNormalization

    layer, inputs = GlobalResponseNormalization(), tf.constant(maps)
    layer.build(maps.shape)
    layer.set_weights([np.ones(8), np.zeros(8)])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_sum(layer(inputs) ** 2)
    assert np.isfinite(tape.gradient(loss, inputs)).all()
