"""Sends a data set to a machine that does not see the cache: as arrays, in pieces."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.data.sources import cache
from cnnsearch.data.views import JoinedSplit, Selection

PIECE = 64 * 2**20
"""Most bytes of images in a piece, unless one image is larger."""
_SENT = ("train", "validation")


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
    """Whether this machine sees the images of train and validation.

    A folder of the cache is named by its content and appears in one step, so it is not read.
    """
    parts: list[Split] = [data.train, data.validation]
    return all(part.materialised for part in parts if part.count)


def pack(data: Dataset, size: int = PIECE) -> Iterator[Piece]:
    """Yields the images and labels of train and validation; one piece at a time is in memory.

    Args:
        data: On this machine.
        size: Most bytes of a piece's images.
    """
    for name in _SENT:
        split: Split = getattr(data, name)
        if not split.count:
            continue
        labels = np.asarray(split.labels(), np.int32)
        step = max(1, size * split.count // max(1, split.nbytes))
        for start in range(0, split.count, step):
            rows = np.arange(start, min(start + step, split.count))
            yield Piece(name, np.ascontiguousarray(split.read(rows)), labels[rows])


def unpack(data: Dataset, pieces: Iterable[Piece], root: Path) -> Dataset:
    """Returns the data set with its images below ``root``, written there unless they exist.

    The test split is not sent.

    Args:
        data: On the machine that packed it.
        pieces: All of :func:`pack`, in order.
        root: Of a cache of this machine.

    Raises:
        DataError: The folder cannot be written.
    """
    place = root / data.fingerprint
    if not place.is_dir():
        with cache.staging(root) as stage:
            _write(data, iter(pieces), stage)
            cache.publish(stage, place, replace=False)
    train, validation = (
        Split(split.name, split.count, split.shape, place / split.name, streamed=_streams(split))
        for split in (data.train, data.validation)
    )
    return replace(data, train=train, validation=validation)


def _write(data: Dataset, pieces: Iterator[Piece], stage: Path) -> None:
    piece = next(pieces, None)
    for name in _SENT:
        (stage / name).mkdir()
        labels: list[int] = []
        with cache.ArrayFile(stage / name / "images.npy", data.input) as file:
            while piece is not None and piece.split == name:
                for image in piece.images:
                    file.append(image)
                labels += piece.labels.tolist()
                piece = next(pieces, None)
        cache.write_labels(stage / name / "labels.npy", labels)


def _streams(split: Split) -> bool:
    if isinstance(split, JoinedSplit):
        return any(map(_streams, split.parts))
    return _streams(split.base) if isinstance(split, Selection) else split.streamed
