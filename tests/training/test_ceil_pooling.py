"""Pooling whose last window may be partial (``padding: ceil``), against NumPy."""

import math

import numpy as np
import pytest

from cnnsearch.blocks.ops import Style
from cnnsearch.training.keras_ops import KerasOps

WINDOWS = [(2, 2), (3, 2), (3, 3), (4, 3), (5, 2), (3, 1)]


def pool_by_hand(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    """The maximum of what each window has of the map."""
    rows, columns = (math.ceil((side - size) / stride) + 1 for side in x.shape[1:3])
    windows = [
        [x[:, i * stride :, j * stride :][:, :size, :size].max((1, 2)) for j in range(columns)]
        for i in range(rows)
    ]
    return np.array(windows).transpose(2, 0, 1, 3)


@pytest.mark.parametrize(("size", "stride"), WINDOWS)
def test_it_is_the_maximum_of_what_a_window_has(size: int, stride: int) -> None:
    rng, op = np.random.default_rng(0), KerasOps(Style())
    for height in range(5, 12):
        x = rng.normal(-3, 1, (2, height, height + 1, 2)).astype(np.float32)
        found = np.asarray(op.pool(x, "max", size, stride, "ceil"))
        np.testing.assert_array_equal(found, pool_by_hand(x, size, stride))
