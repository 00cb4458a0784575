"""How a data set comes to a machine that does not see the cache: as arrays, in pieces."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.data.sources import cache
from cnnsearch.data.views import JoinedSplit, StratifiedShare

PIECE = 64 * 2**20
"""Bytes of images that travel together, unless one image is larger."""
_TRAINED = ("train", "validation")


@dataclass(frozen=True)
class Piece:
    """Some images of a split, in its order.

    Attributes:
        split: ``train`` or ``validation``.
        images: uint8 (n, H, W, C).
        labels: int32 (n,).
    """

    split: str
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]


def is_here(data: Dataset) -> bool:
    """Tells whether this machine sees the images of train and validation where they should lie.

    A place in a cache is named by the content and comes to be in one step, so what is there is it.
    """
    parts: list[Split] = [data.train, data.validation]
    return all(part.materialised for part in parts if part.count)


def pieces(data: Dataset, size: int = PIECE) -> Iterator[Piece]:
    """Yields the images and labels of train and validation; a piece at a time is in memory.

    Args:
        data: that is here.
        size: bytes of a piece's images at most.
    """
    for name in _TRAINED:
        split: Split = getattr(data, name)
        if not split.count:
            continue
        labels = np.asarray(split.labels(), np.int32)
        step = max(1, size * split.count // max(1, split.nbytes))
        for start in range(0, split.count, step):
            rows = np.arange(start, min(start + step, split.count))
            yield Piece(name, np.ascontiguousarray(split.read(rows)), labels[rows])


def unpack(data: Dataset, arriving: Iterable[Piece], root: Path) -> Dataset:
    """Returns the data set with its images below ``root``, written there unless they are already.

    The test split stays behind.

    Args:
        data: as it is where it came from.
        arriving: all :func:`pieces`, in order.
        root: of a cache of this machine.

    Raises:
        DataError: the folder cannot be written.
    """
    place = root / data.fingerprint
    if not place.is_dir():
        with cache.writing(root), cache.staging(root) as stage:
            _write(data, iter(arriving), stage)
            cache.publish(stage, place, replace=False)
    train, validation = (_at(getattr(data, name), place / name) for name in _TRAINED)
    return replace(data, train=train, validation=validation)


def _write(data: Dataset, arriving: Iterator[Piece], stage: Path) -> None:
    piece = next(arriving, None)
    for name in _TRAINED:
        (stage / name).mkdir()
        labels: list[int] = []
        with cache.ArrayFile(stage / name / "images.npy", data.input) as file:
            while piece is not None and piece.split == name:
                for image in piece.images:
                    file.append(image)
                labels += piece.labels.tolist()
                piece = next(arriving, None)
        cache.write_labels(stage / name / "labels.npy", labels)


def _at(split: Split, place: Path) -> Split:
    return Split(split.name, split.count, split.shape, place, streamed=_streamed(split))


def _streamed(split: Split) -> bool:
    if isinstance(split, JoinedSplit):
        return any(map(_streamed, split.parts))
    if isinstance(split, StratifiedShare):
        return _streamed(split.base)
    return split.streamed
