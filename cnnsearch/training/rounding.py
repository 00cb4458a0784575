"""Training on values that are rounded as an int8 LiteRT file rounds them.

Weights are rounded to 255 levels per output channel, what operators put out to 256 levels per
tensor, and gradients pass as if nothing was rounded (Jacob et al., arXiv:1712.05877, section 3).
The range of a tensor is that of the batch; the converter measures it on training images.
Normalization need not be folded into its convolution first: it scales whole channels, and their
levels with them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import keras
from keras import layers as kl

Tensor = Any
LINEAR: Final = (kl.Conv1D, kl.Conv2D, kl.DepthwiseConv2D, kl.Dense)
"""Layers whose weights are rounded."""
FUSED: Final = ("relu", "relu6")
"""Activations that LiteRT computes within the operator before them."""
UNCHANGED: Final = (
    kl.InputLayer, kl.MaxPooling2D, kl.GlobalMaxPooling2D, kl.Flatten, kl.Reshape, kl.Permute,
    kl.ZeroPadding2D, kl.Cropping2D, kl.Dropout,
)  # fmt: skip
"""Layers that put out values that they were given, or zeros."""


class RoundedOutput(kl.Layer):  # type: ignore[misc]
    """Rounds a tensor to 256 levels between its least and its greatest value, zero among them."""

    def call(self, x: Tensor) -> Tensor:
        """Returns the rounded tensor."""
        return round_tensor(x)


class RoundedWeights(kl.Layer):  # type: ignore[misc]
    """Calls a layer with rounded weights; its bias, which int8 files have in 32 bits, stays.

    Args:
        layer: one of ``LINEAR``; its variables are shared.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__(name=f"rounded.{layer.name}")
        self.layer = layer
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """Returns the layer's output."""
        values = [(variable, variable.value) for variable in self.layer.variables]
        axes = find_axes(self.layer)
        rounded = [
            (v, round_weights(value, axes) if v is self.layer.kernel else value)
            for v, value in values
        ]
        with keras.StatelessScope(state_mapping=rounded):
            return self.layer(x)


def simulate_int8(model: Any) -> Any:
    """Returns a model with the same layers and variables that rounds as an int8 file does.

    Args:
        model: functional, of :func:`cnnsearch.training.model.build`, or its head.
    """
    following = _find_following(model)

    def call(operation: Any, *args: Any, **kwargs: Any) -> Tensor:
        is_rounded = isinstance(operation, LINEAR)
        y = (RoundedWeights(operation) if is_rounded else operation)(*args, **kwargs)
        if isinstance(operation, UNCHANGED) or _is_fused(operation, following[id(operation)]):
            return y
        return RoundedOutput(name=f"rounded.{operation.name}.output")(y)

    rounding = keras.models.clone_model(model, clone_function=lambda o: o, call_function=call)
    for mine, theirs in (
        (rounding.trainable_variables, model.trainable_variables),
        (rounding.non_trainable_variables, model.non_trainable_variables),
    ):
        if list(map(id, mine)) != list(map(id, theirs)):
            raise RuntimeError("a simulation of int8 has other variables than its model")
    return rounding


def round_tensor(x: Tensor) -> Tensor:
    """Returns ``x`` rounded to 256 levels between its least value and its greatest, and zero."""
    ops, values = keras.ops, keras.ops.stop_gradient(keras.ops.cast(x, "float32"))
    low, high = ops.minimum(ops.min(values), 0.0), ops.maximum(ops.max(values), 0.0)
    step = ops.maximum((high - low) / 255.0, 1e-9)
    zero = ops.round(-low / step)
    level = ops.clip(ops.round(values / step) + zero, 0.0, 255.0)
    return _pass_through(x, (level - zero) * step)


def round_weights(kernel: Tensor, axes: Sequence[int]) -> Tensor:
    """Returns a kernel rounded to 255 levels around zero, of their own in each output channel.

    Args:
        kernel: of a convolution or a dense layer.
        axes: all but those of output channels.
    """
    ops, values = keras.ops, keras.ops.stop_gradient(keras.ops.cast(kernel, "float32"))
    step = ops.max(ops.abs(values), axis=tuple(axes), keepdims=True) / 127.0
    step = ops.maximum(step, 1e-9)
    return _pass_through(kernel, ops.round(values / step) * step)


def _pass_through(x: Tensor, rounded: Tensor) -> Tensor:
    """Returns ``rounded``, whose gradient is that of ``x``."""
    difference = keras.ops.cast(rounded, x.dtype) - keras.ops.stop_gradient(x)
    return x + keras.ops.stop_gradient(difference)


def find_axes(layer: Any) -> tuple[int, ...]:
    """Returns the axes of a layer's kernel that are not of output channels."""
    rank = len(layer.kernel.shape)
    return tuple(range(rank - (2 if isinstance(layer, kl.DepthwiseConv2D) else 1)))


def _find_following(model: Any) -> Mapping[int, list[Any]]:
    """Returns the operations that read each operation's output, by its ``id``."""
    following: dict[int, list[Any]] = defaultdict(list)
    for nodes in model._nodes_by_depth.values():
        for node in nodes:
            for tensor in node.input_tensors:
                following[id(tensor._keras_history.operation)].append(node.operation)
    return following


def _is_fused(operation: Any, following: Sequence[Any]) -> bool:
    """Whether an operation's output is not rounded on its own: the operation that reads it does."""
    if following and all(isinstance(reader, kl.Concatenate) for reader in following):
        return True  # in the steps of the whole, see the int8 specification of CONCATENATION
    if len(following) != 1:
        return False
    (reader,) = following
    if isinstance(reader, kl.BatchNormalization):
        return isinstance(operation, LINEAR)
    if not isinstance(reader, kl.Activation):
        return False
    is_joined = isinstance(operation, (*LINEAR, kl.BatchNormalization, kl.Add))
    return is_joined and reader.activation.__name__ in FUSED
