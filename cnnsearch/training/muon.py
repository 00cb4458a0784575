"""Muon: changes of kernels with equal singular values.

A step along the gradient moves a kernel mostly in the few directions in which the gradient is
large. Muon takes about the nearest matrix with singular values of 1 instead, so that all directions
move alike (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon). Changes are scaled so
that the root of the mean square of their values is the learning rate. That is five times what Liu
et al. take for language models (arXiv:2502.16982), and makes AdamW's usual rates good ones here.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import keras
from keras import ops

Tensor = Any

COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
"""Jordan's quintic: five iterations bring nearly all singular values to between 0.7 and 1.2."""
ITERATIONS: Final = 5
EPSILON: Final = 1e-7


def group_kernels(variables: Sequence[Any]) -> list[list[int]]:
    """Returns the places of the variables that Muon changes, those of one shape together.

    They are kernels of convolutions that are not depthwise, but for the first one, which reads
    pixels. Other weights, those of dense layers among them, are left to AdamW.
    """
    kernels = [n for n, v in enumerate(variables) if v.name == "kernel" and len(v.shape) == 4]
    groups: dict[Sequence[int], list[int]] = {}
    for place in kernels[1:]:
        groups.setdefault(tuple(variables[place].shape), []).append(place)
    return list(groups.values())


def orthogonalize(kernels: Sequence[Tensor]) -> list[Tensor]:
    """Returns about the nearest kernels with equal singular values; values' mean square is 1.

    A kernel's matrix has a column for each filter.

    Args:
        kernels: of one shape (height, width, channels, filters); their scale does not matter.
    """
    *window, filters = kernels[0].shape
    shape = (math.prod(window), filters)
    x = ops.reshape(ops.stack(kernels), (-1, *shape))
    is_tall = shape[0] > shape[1]
    x = _transpose(x) if is_tall else x
    x = x / (ops.sqrt(ops.sum(ops.square(x), axis=(1, 2), keepdims=True)) + EPSILON)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = ops.matmul(x, _transpose(x))
        x = a * x + ops.matmul(b * gram + c * ops.matmul(gram, gram), x)
    x = math.sqrt(max(shape)) * (_transpose(x) if is_tall else x)
    return [ops.reshape(each, kernels[0].shape) for each in ops.unstack(x, len(kernels))]


def _transpose(matrices: Tensor) -> Tensor:
    return ops.transpose(matrices, (0, 2, 1))


class KernelMuon(keras.optimizers.Muon):  # type: ignore[misc]
    """Keras's Muon for kernels of convolutions, which Keras leaves to AdamW; AdamW for the rest."""

    def build(self, variables: Sequence[Any]) -> None:
        """Creates the optimizer's variables."""
        self._matrices = {id(variables[n]) for group in group_kernels(variables) for n in group}
        super().build(variables)

    def _should_use_adamw(self, variable: Any) -> bool:
        return id(variable) not in self._matrices

    def _muon_update_step(self, gradient: Tensor, variable: Any, lr: Tensor, m: Any) -> None:
        self.assign_add(m, gradient + m * (self.momentum - 1))
        (change,) = orthogonalize([gradient + self.momentum * m])
        self.assign_sub(variable, ops.cast(lr * change, variable.dtype))
