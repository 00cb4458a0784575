"""Parts of a batch: one after another where memory is short, side by side on a CPU's cores."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from cnnsearch.training.augmentation_ops import Targets

Tensor = Any
Differentiate = Callable[[Tensor, Targets], tuple[Sequence[Tensor], Tensor]]


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


def average_gradients(
    batch: tuple[Tensor, Targets], count: int, differentiate: Differentiate
) -> tuple[Sequence[Tensor], Tensor]:
    """Returns gradients and report of a batch, averaged over ``count`` micro-batches.

    Args:
        batch: augmented images and their targets.
        count: of micro-batches.
        differentiate: called with the images and targets of each; returns its gradients and report.
    """
    if count == 1:
        return differentiate(*batch)
    total: list[Tensor] = []
    whole: Tensor = 0.0
    for part in split_batch(batch, count):
        gradients, report = differentiate(part.images, part.targets)
        weighted = [part.share * each for each in gradients]
        total = [a + b for a, b in zip(total, weighted, strict=True)] if total else weighted
        whole = whole + part.share * report
    return total, whole
