"""Muon's changes against Keras's iterations and a singular value decomposition."""

import keras
import numpy as np
import pytest

from cnnsearch.training.muon import group_kernels, orthogonalize

SHAPES = [(3, 3, 2, 4), (3, 3, 16, 16), (1, 1, 6, 40), (5, 3, 8, 120), (3, 3, 4, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_are_changed_as_keras_changes_matrices(shape: tuple[int, ...]) -> None:
    kernel = np.random.default_rng(0).normal(size=shape).astype("float32")
    theirs = keras.optimizers.Muon(rms_rate=1.0)
    matrix = keras.ops.convert_to_tensor(kernel.reshape(-1, shape[-1]))
    expected = theirs.lr_adjust(theirs.zeropower_via_newtonschulz5(matrix, 5))
    others = np.random.default_rng(2).normal(size=shape).astype("float32")
    found = np.asarray(orthogonalize([keras.ops.convert_to_tensor(k) for k in (others, kernel)])[1])
    np.testing.assert_allclose(found.reshape(-1, shape[-1]), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_directions_are_kept_and_move_alike(shape: tuple[int, ...]) -> None:
    matrix = np.random.default_rng(1).normal(size=(np.prod(shape[:-1]), shape[-1]))
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    stretched = (left * np.geomspace(1, 20, values.size) @ right).astype("float32")
    found = np.asarray(orthogonalize([keras.ops.convert_to_tensor(stretched.reshape(shape))])[0])
    change = left.T @ found.reshape(matrix.shape) @ right.T
    moved = np.diag(change) / max(matrix.shape) ** 0.5
    assert 0.6 < moved.min() <= moved.max() < 1.3
    np.testing.assert_allclose(change - np.diag(np.diag(change)), 0.0, atol=0.05)


def test_the_first_kernel_depthwise_and_dense_ones_are_left_to_adamw() -> None:
    shapes = {
        "stem": ("kernel", (3, 3, 3, 8)), "bias": ("bias", (8,)), "conv": ("kernel", (3, 3, 8, 8)),
        "depthwise": ("depthwise_kernel", (3, 3, 8, 1)), "wide": ("kernel", (1, 1, 8, 16)),
        "same": ("kernel", (3, 3, 8, 8)), "dense": ("kernel", (8, 10)),
    }  # fmt: skip
    variables = [keras.Variable(np.zeros(shape), name=name) for name, shape in shapes.values()]
    groups = [[list(shapes)[place] for place in group] for group in group_kernels(variables)]
    assert groups == [["conv", "same"], ["wide"]]
