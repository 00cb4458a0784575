"""Parts of a batch: one after another where memory is short, side by side on a CPU's cores."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from cnnsearch.training.augmentation_ops import Targets

Tensor = Any


class MicroBatch(NamedTuple):
    """Some images of a batch, their targets, and their share of the batch."""

    images: Tensor
    targets: Targets
    share: float


def split_rows(size: int, count: int) -> Iterator[slice]:
    """Yields ``count`` slices of nearly the same size, fewer if there are fewer rows."""
    count = min(count, size)
    bounds = [size * i // count for i in range(count + 1)]
    yield from (slice(start, end) for start, end in pairwise(bounds))


def split_batch(batch: tuple[Tensor, Targets], count: int) -> Iterator[MicroBatch]:
    """Splits an augmented batch into ``count`` micro-batches of nearly the same size."""
    images, targets = batch
    size = int(images.shape[0])
    for rows in split_rows(size, count):
        others = None if targets.others is None else targets.others[rows]
        part = Targets(targets.labels[rows], others, targets.share)
        yield MicroBatch(images[rows], part, (rows.stop - rows.start) / size)


class Average:
    """Averages the gradients and reports of micro-batches, each weighted by its share."""

    def __init__(self) -> None:
        self.gradients: list[Tensor] = []
        self.report: Tensor = 0.0

    def add(self, share: float, gradients: Sequence[Tensor], report: Tensor) -> None:
        """Adds a micro-batch of this share of the batch."""
        weighted = list(gradients) if share == 1 else [share * each for each in gradients]
        sums = zip(self.gradients, weighted, strict=True) if self.gradients else ()
        self.gradients = [a + b for a, b in sums] or weighted
        self.report = self.report + share * report
