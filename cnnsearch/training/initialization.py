"""Initial weights that depend on the images or on the position of a layer."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from cnnsearch.data.dataset import Split
from cnnsearch.space.recipe import TrainingRecipe

Array = npt.NDArray[np.float32]
IMAGES, PATCHES = 256, 100_000
"""Training images, and patches of them, of which the covariance is estimated."""
EPSILON = 5e-4
"""Added to the eigenvalues, those of normalized pixels; as in arXiv:2404.00498, section 3.2."""


def initialize_weights(model: Any, recipe: TrainingRecipe, split: Split, seed: int) -> None:
    """Replaces the random weights of a new model as its recipe says.

    Args:
        model: of :func:`cnnsearch.training.model.build`.
        recipe: its ``whitening`` and ``dirac``.
        split: the training images.
        seed: of the choice of images and patches.
    """
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    if recipe.dirac:
        for layer in convolutions:
            _initialize_dirac(layer)
    if recipe.whitening and convolutions and convolutions[0].groups == 1:
        _initialize_whitening(model, convolutions[0], split, np.random.default_rng(seed))


def _initialize_whitening(model: Any, layer: Any, split: Split, rng: np.random.Generator) -> None:
    rows = np.sort(rng.permutation(split.count)[:IMAGES])
    before = keras.Model(model.input, layer.input)
    maps = np.asarray(before(split.read(rows), training=False))
    layer.kernel.assign(compute_whitening(maps, np.asarray(layer.kernel), rng))


def compute_whitening(maps: Array, kernel: Array, rng: np.random.Generator) -> Array:
    """Returns filters whose responses to the patches of ``maps`` are uncorrelated.

    They are the eigenvectors of the patches' covariance over the root of their eigenvalues, the
    largest first, each followed by its negative so that a ReLU loses nothing (Jordan,
    arXiv:2404.00498). Filters beyond twice the number of values in a patch keep their weights.

    Args:
        maps: input of the convolution, (N, H, W, C).
        kernel: its present weights, (height, width, C, filters).
        rng: chooses patches.
    """
    height, width, channels, filters = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(maps, (height, width), axis=(1, 2))
    chosen = rng.integers(0, windows.shape[:3], (PATCHES, 3))  # all would take gigabytes
    patches = windows[tuple(chosen.T)].transpose(0, 2, 3, 1).reshape(PATCHES, -1).astype(float)
    values, vectors = np.linalg.eigh(patches.T @ patches / len(patches))
    scaled = (vectors / np.sqrt(np.maximum(values, 0.0) + EPSILON)).T[::-1]
    signed = np.stack([scaled, -scaled], 1).reshape(-1, height, width, channels)[:filters]
    result = kernel.copy()
    result[..., : len(signed)] = signed.transpose(1, 2, 3, 0)
    return result


def _initialize_dirac(layer: Any) -> None:
    """Makes a convolution between maps of equal width the identity."""
    kernel = np.asarray(layer.kernel)
    height, width, channels, filters = kernel.shape
    if layer.groups == 1 and channels == filters and height % 2 and width % 2 and height > 1:
        identity = np.zeros_like(kernel)
        identity[height // 2, width // 2] = np.eye(filters)
        layer.kernel.assign(identity)
