"""Batch normalization in compiled steps by TensorFlow's fused kernel.

Keras 3 normalizes a batch in a dozen operations, each of which reads and writes the feature map;
the kernel does it in one, and computes the gradient in another. In evaluation, TensorFlow computes
it and a ReLU together with the convolution before. The layers stay Keras's own: only what is traced
between the beginning and the end of a block uses the kernel.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import keras

CHANNELS = {"float32": 8, "bfloat16": 16}
"""Where channels are no multiple of this, CPUs are no faster with the kernel, or half as fast."""
Tensor = Any


@contextmanager
def use_fused_kernels(model: keras.Model) -> Iterator[None]:
    """Has the model's layers of batch normalization use the kernel inside the block.

    Args:
        model: of the TensorFlow backend; its layers are as before when the block ends.
    """
    layers = list(_list_layers(model))
    for layer in layers:
        layer.call = MethodType(_normalize, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call


def _list_layers(model: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _list_layers(layer)
        elif type(layer) is keras.layers.BatchNormalization:
            yield layer


def _normalize(layer: Any, inputs: Tensor, training: bool | None = None, mask: Any = None) -> Any:
    """Takes the place of ``BatchNormalization.call``: the same values, up to rounding."""
    is_map = len(inputs.shape) == 4 and layer.axis in (-1, 3) and mask is None
    multiple = CHANNELS.get(keras.backend.standardize_dtype(inputs.dtype), 1)
    is_plain = not (layer.renorm or layer.synchronized or inputs.shape[-1] % multiple)
    is_frozen = training and not layer.trainable
    if is_frozen or not (is_map and is_plain):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    import tensorflow as tf

    channels = inputs.shape[-1]
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.convert_to_tensor(layer.gamma if layer.scale else tf.ones(channels)),
        offset=tf.convert_to_tensor(layer.beta if layer.center else tf.zeros(channels)),
        mean=[] if training else tf.convert_to_tensor(layer.moving_mean),
        variance=[] if training else tf.convert_to_tensor(layer.moving_variance),
        epsilon=layer.epsilon,
        is_training=bool(training),
    )
    if not training:
        return outputs
    count = _count_values(inputs)
    biased = variance * ((count - 1) / count)  # as Keras has it: the kernel divides by count - 1
    _update(layer.moving_mean, mean, layer.momentum)
    _update(layer.moving_variance, biased, layer.momentum)
    return outputs


def _count_values(inputs: Tensor) -> Any:
    """Returns the values of each channel."""
    import tensorflow as tf

    sizes = inputs.shape[:-1]
    if None not in sizes:
        return float(math.prod(sizes))
    return tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), "float32")


def _update(moving: Any, value: Tensor, momentum: float) -> None:
    moving.assign(moving * momentum + value * (1.0 - momentum))
