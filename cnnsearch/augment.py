"""Batches of training and validation images, augmented with vectorised NumPy; no framework."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.recipe import TrainingRecipe

DEFAULT_SHIFT = 1 / 8
Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


class Batch(NamedTuple):
    """Images (N, H, W, C), labels (N,) and weights (N,); weight 0 marks padding."""

    images: Images
    labels: Labels
    weights: Weights


def gather(images: Images, rows: Indices, flip: Any, dy: Any, dx: Any) -> Images:
    """Returns ``images[rows]``, mirrored and shifted; what enters at an edge repeats the edge.

    Args:
        images: uint8 (M, H, W, C), may be memory-mapped.
        rows: which of them, (N,).
        flip: bool (N,): mirror left to right.
        dy: int (N,): pixels downwards.
        dx: int (N,): pixels to the right.
    """
    height, width = images.shape[1:3]
    y = np.clip(np.arange(height) - dy[:, None], 0, height - 1)
    x = np.clip(np.arange(width) - dx[:, None], 0, width - 1)
    x = np.where(flip[:, None], width - 1 - x, x)
    result: Images = images[rows[:, None, None], y[:, :, None], x[:, None, :]]
    return result


@dataclass(frozen=True)
class TrainingBatches:
    """The batches of any epoch of a training, each a function of seed, epoch and step alone.

    So a training that was interrupted goes on with the very batches it would have had.
    The examples that do not fill the last batch of an epoch are left out: another shape would be
    traced anew. They are others in every epoch.

    Attributes:
        split: what to draw from.
        size: examples a batch.
        seed: of the order and the augmentation.
        flip: whether to mirror images left to right at random.
        shift: largest shift as a share of the side.
    """

    split: Split
    size: int
    seed: int
    flip: bool
    shift: float

    @classmethod
    def of(cls, data: Dataset, recipe: TrainingRecipe, seed: int) -> "TrainingBatches":
        """Returns the batches that a recipe asks for; what it leaves open, the data decides."""
        flip = data.flip if recipe.flip is None else recipe.flip
        shift = DEFAULT_SHIFT if recipe.shift is None else recipe.shift
        size = min(recipe.batch_size, data.train.count)
        return cls(data.train, size, seed, flip, shift)

    def __len__(self) -> int:
        return max(1, self.split.count // self.size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields the batches of an epoch, each prepared while the one before is trained on."""
        images, labels = self.split.images(), self.split.labels()
        order = np.random.default_rng([self.seed, epoch]).permutation(len(labels))
        with ThreadPoolExecutor(1) as beside:
            coming = beside.submit(self._batch, images, labels, order, epoch, 0)
            for step in range(1, len(self)):
                batch = coming.result()
                coming = beside.submit(self._batch, images, labels, order, epoch, step)
                yield batch
            yield coming.result()

    def _batch(
        self, images: Images, labels: Labels, order: Indices, epoch: int, step: int
    ) -> Batch:
        rows = order[step * self.size : (step + 1) * self.size]
        ones = np.ones(len(rows), np.float32)
        dy, dx = (int(side * self.shift) for side in images.shape[1:3])
        if not (self.flip or dy or dx):
            return Batch(images[rows], labels[rows], ones)
        rng = np.random.default_rng([self.seed, epoch, step])
        flip = rng.random(len(rows)) < 0.5 if self.flip else np.zeros(len(rows), bool)
        down = rng.integers(-dy, dy, len(rows), endpoint=True)
        right = rng.integers(-dx, dx, len(rows), endpoint=True)
        return Batch(gather(images, rows, flip, down, right), labels[rows], ones)


def validation_batches(split: Split, size: int) -> Iterator[Batch]:
    """Yields every example once, in batches of one shape; padding has weight 0.

    Args:
        split: what to measure on.
        size: examples a batch, at most.
    """
    images, labels = split.images(), split.labels()
    count = len(labels)
    size = -(-count // -(-count // size))  # as many batches, as little padding
    for start in range(0, count, size):
        rows = np.arange(start, start + size)
        weights = (rows < count).astype(np.float32)
        rows = np.minimum(rows, count - 1)
        yield Batch(images[rows], labels[rows], weights)
