"""Every block can be trained where activations are dead: zeros have finite gradients."""

from typing import Any

import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from tests.blocks.test_contract import CASES, NAMED, network


def find_gradients(architecture: Architecture) -> list[Any]:
    """Returns the gradients of a network whose biases leave ReLU nothing but zeros."""
    import tensorflow as tf

    from cnnsearch.training.model import build

    model = build(architecture, mean=[0.5] * 3, std=[0.2] * 3)
    for weight in model.trainable_variables:
        if weight.name in ("beta", "bias", "gamma"):
            weight.assign(np.full(weight.shape, 1.0 if weight.name == "gamma" else -50.0))
    images, labels = np.full((4, 15, 11, 3), 127, "uint8"), np.arange(4)
    with tf.GradientTape() as tape:
        logits = model(images, training=True)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return list(tape.gradient(loss, [weight.value for weight in model.trainable_variables]))


@pytest.mark.networks
@pytest.mark.parametrize("data", [data for _, data in CASES], ids=NAMED)
def test_a_block_of_dead_activations_has_finite_gradients(data: dict[str, Any]) -> None:
    found = find_gradients(network(data, style={"activation": "relu"}))
    assert all(gradient is None or np.isfinite(gradient).all() for gradient in found)
