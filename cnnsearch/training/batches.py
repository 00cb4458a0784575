"""Batches of training and validation images, prepared with NumPy; needs no framework."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.augmentation import Draw, draw_augmentation
from cnnsearch.training.inference import batch_rows

DEFAULT_SHIFT = 1 / 8
PREFETCH = 3
"""Groups of batches that are prepared while one is trained on."""
MOST_GROUPED, GROUP_BYTES = 32, 4 << 20
"""Batches, and bytes of their images, that one call trains on at most."""
Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


class Batch(NamedTuple):
    """Images (N, H, W, C), labels (N,) and weights (N,), of which padding has 0.

    ``draw`` has the parameters of the augmentation on the device.
    """

    images: Images
    labels: Labels
    weights: Weights
    draw: Draw


def shift_images(images: Images, flip: Any, dy: Any, dx: Any) -> Images:
    """Flips and shifts images; the edge's pixels are repeated beyond it.

    On the host: the thread that prepares batches needs 10 microseconds for an image of 32 x 32.

    Args:
        images: uint8 (N, H, W, C).
        flip: bool (N,): mirror left to right.
        dy: int (N,): pixels downwards.
        dx: int (N,): pixels to the right.
    """
    count, height, width = images.shape[:3]
    y = np.clip(np.arange(height) - dy[:, None], 0, height - 1)
    x = np.clip(np.arange(width) - dx[:, None], 0, width - 1)
    x = np.where(flip[:, None], width - 1 - x, x)
    rows = np.arange(count)[:, None, None]
    result: Images = images[rows, y[:, :, None], x[:, None, :]]
    return result


@dataclass(frozen=True)
class TrainingBatches:
    """The training batches of any epoch, each a function of seed, epoch and step alone.

    So a resumed training sees the batches it would have seen. Examples that do not fill the last
    batch of an epoch are left out, because another shape would be traced anew; they are different
    ones in every epoch.

    Attributes:
        split: to draw from.
        recipe: of the augmentation.
        size: examples per batch.
        seed: of order and augmentation.
        flip: whether images are mirrored left to right: at random, or each in every second epoch
            (``alternate``).
        shift: largest shift as a share of the side.
    """

    split: Split
    recipe: TrainingRecipe
    size: int
    seed: int
    flip: bool | Literal["alternate"]
    shift: float

    @classmethod
    def create(cls, data: Dataset, recipe: TrainingRecipe, seed: int) -> "TrainingBatches":
        """Returns the batches of a recipe; the dataset decides what it leaves open."""
        flip = data.flip if recipe.flip is None else recipe.flip
        shift = DEFAULT_SHIFT if recipe.shift is None else recipe.shift
        size = min(recipe.batch_size, data.train.count)
        return cls(data.train, recipe, size, seed, flip, shift)

    def __len__(self) -> int:
        return max(1, self.split.count // self.size)

    def iterate_groups(self, epoch: int) -> Iterator[list[Batch]]:
        """Yields the batches of an epoch, in groups for one call of the compiled step each.

        The first batch comes alone, so that a new step is traced and tried with one. Small images
        come in larger groups: with them, calling takes longer than computing. A thread prepares
        the next groups meanwhile.
        """
        labels = self.split.labels()
        order = np.random.default_rng([self.seed, epoch]).permutation(len(labels))
        first = self._load(labels, order, epoch, 0)
        size = min(MOST_GROUPED, max(1, GROUP_BYTES // first.images.nbytes))
        starts = iter(range(1, len(self), size))

        def load_group(start: int) -> list[Batch]:
            steps = range(start, min(start + size, len(self)))
            return [self._load(labels, order, epoch, step) for step in steps]

        with ThreadPoolExecutor(1) as thread:

            def submit(count: int) -> list[Future[list[Batch]]]:
                return [thread.submit(load_group, start) for start in islice(starts, count)]

            waiting = deque(submit(PREFETCH))
            yield [first]
            while waiting:
                group = waiting.popleft().result()
                waiting += submit(1)
                yield group

    def _load(self, labels: Labels, order: Indices, epoch: int, step: int) -> Batch:
        rows = order[step * self.size : (step + 1) * self.size]
        images, ones = self.split.read(rows), np.ones(len(rows), np.float32)
        height, width = images.shape[1:3]
        dy, dx = int(height * self.shift), int(width * self.shift)
        rng = np.random.default_rng([self.seed, epoch, step])
        if self.flip or dy or dx:
            flip = self._draw_flips(rows, epoch, rng)
            down = rng.integers(-dy, dy, len(rows), endpoint=True)
            right = rng.integers(-dx, dx, len(rows), endpoint=True)
            images = shift_images(images, flip, down, right)
        drawn = draw_augmentation(self.recipe, len(rows), (height, width), rng)
        return Batch(images, labels[rows], ones, drawn)

    def _draw_flips(self, rows: Indices, epoch: int, rng: np.random.Generator) -> Any:
        """Returns which images of a batch are mirrored, bool (N,)."""
        if self.flip == "alternate":
            in_odd_epochs = np.random.default_rng(self.seed).random(self.split.count) < 0.5
            return in_odd_epochs[rows] ^ (epoch % 2 == 0)
        return rng.random(len(rows)) < 0.5 if self.flip else np.zeros(len(rows), bool)


def stack_batches(batches: Sequence[Batch]) -> tuple[Images, Labels, Draw]:
    """Returns images (S, N, H, W, C), labels (S, N) and augmentation of S batches of one shape."""
    draws = [batch.draw for batch in batches]
    return (
        _stack([batch.images for batch in batches]),
        _stack([batch.labels for batch in batches]),
        {key: _stack([draw[key] for draw in draws]) for key in draws[0]},
    )


def _stack(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Stacks arrays; a single one, such as a batch of large images, is not copied."""
    return np.stack(arrays) if len(arrays) > 1 else np.asarray(arrays[0])[None]


def iterate_validation(split: Split, size: int) -> Iterator[Batch]:
    """Yields every example once, in batches of one shape.

    Args:
        split: to evaluate on.
        size: examples per batch, at most; fewer if that needs less padding.
    """
    labels = split.labels()
    count = len(labels)
    size = math.ceil(count / math.ceil(count / size))
    for rows, valid in batch_rows(count, size):
        weights = (np.arange(size) < valid).astype(np.float32)
        yield Batch(split.read(rows), labels[rows], weights, {})
