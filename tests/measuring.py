"""Counts a built Keras model by what its own layers say; shares nothing with CountingOps."""

from typing import Any

import numpy as np

from cnnsearch.architecture.cost import Cost


def measure(model: Any) -> Cost:
    """Sums over a model's layers; needs shapes only, no values."""
    convolutions = [found for found in map(_measure_layer, model.layers) if found]
    macs, acts = (sum(column) for column in zip(*convolutions, strict=True))
    trainable = sum(_size(w.shape) for layer in model.layers for w in layer.trainable_weights)
    total = sum(_size(w.shape) for layer in model.layers for w in layer.weights)
    return Cost(trainable, total, macs, acts)


def _measure_layer(layer: Any) -> tuple[int, int] | None:
    import keras

    kinds = keras.layers
    if not isinstance(layer, kinds.DepthwiseConv2D | kinds.Conv2D | kinds.Conv1D | kinds.Dense):
        return None
    positions = layer.output.shape[1:-1]
    return _size(layer.kernel.shape) * _size(positions), _size(layer.output.shape[1:])


def _size(shape: Any) -> int:
    return int(np.prod(shape))
