"""The training images that int8 measures the range of activations on."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

IMAGES = 256


def choose_rows(count: int) -> "npt.NDArray[np.intp]":
    """Returns up to 256 rows from all over a split of ``count`` images."""
    import numpy as np

    return np.unique(np.linspace(0, count - 1, min(IMAGES, count)).astype(np.intp))
