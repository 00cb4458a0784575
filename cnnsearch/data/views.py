"""Splits made of other splits: two joined, or some rows of one; nothing is copied on disk."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.data.sources.cache import ArrayFile
from cnnsearch.data.sources.protocol import digest
from cnnsearch.errors import DataError

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]
Rows = npt.NDArray[np.intp]
_BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class JoinedSplit(Split):
    """Splits one after another; `images` copies them into memory, `read` only some rows.

    Attributes:
        parts: With images of the same shape.
    """

    parts: tuple[Split, ...]

    @property
    def materialised(self) -> bool:
        return all(part.materialised for part in self.parts)

    def images(self) -> Images:
        return np.concatenate([part.images() for part in self.parts])

    def labels(self) -> Labels:
        return np.concatenate([part.labels() for part in self.parts])

    def read(self, rows: Rows) -> Images:
        found = np.empty((len(rows), *self.shape), np.uint8)
        start = 0
        for part in self.parts:
            here = (rows >= start) & (rows < start + part.count)
            found[here] = part.read(rows[here] - start)
            start += part.count
        return found


@dataclass(frozen=True, kw_only=True)
class StratifiedShare(Split):
    """A random share of a split, the same of each class; `images` copies it into memory.

    Attributes:
        base: The whole split.
        share: In (0, 1].
        seed: Of the draw.
    """

    base: Split
    share: float
    seed: int

    @property
    def materialised(self) -> bool:
        return self.base.materialised

    def images(self) -> Images:
        return self.base.read(self._draw())

    def labels(self) -> Labels:
        return np.asarray(self.base.labels()[self._draw()])

    def read(self, rows: Rows) -> Images:
        return self.base.read(self._draw()[rows])

    def _draw(self) -> Rows:
        return draw_stratified(self.base, self.share, self.seed)


@lru_cache(maxsize=4)
def draw_stratified(split: Split, share: float, seed: int) -> Rows:
    """Returns the sorted rows of a share of a split: that share of every class, one at least."""
    labels = np.asarray(split.labels())
    draw = np.random.default_rng([seed, 0x5348]).permutation(len(labels))
    kept = []
    for label in np.unique(labels):
        rows = draw[labels[draw] == label]
        kept.append(rows[: max(1, round(share * len(rows)))])
    return np.sort(np.concatenate(kept))


def join_validation(data: Dataset) -> Dataset:
    """Returns the data set with validation as part of train, and an empty validation split."""
    train, validation = data.train, data.validation
    if not validation.count:
        return data
    count = train.count + validation.count
    joined = JoinedSplit("train", count, train.shape, train.directory, parts=(train, validation))
    empty = Split("validation", 0, train.shape, Path(train.directory).parent / "none")
    fingerprint = digest(data.fingerprint, "joined")
    return replace(data, train=joined, validation=empty, fingerprint=fingerprint)


def take_share(data: Dataset, share: float, seed: int = 0) -> Dataset:
    """Returns the data set with a stratified share of train; validation and test stay.

    Args:
        data: Whole.
        share: In (0, 1].
        seed: Of the draw.

    Raises:
        DataError: The share is not within (0, 1].
    """
    if not 0 < share <= 1:
        raise DataError(f"train share: expected more than 0 and at most 1, got {share:g}")
    if share == 1:
        return data
    train = data.train
    count = len(draw_stratified(train, share, seed))
    part = StratifiedShare(
        "train", count, train.shape, train.directory, base=train, share=share, seed=seed
    )
    fingerprint = digest(data.fingerprint, "share", share, seed)
    return replace(data, train=part, fingerprint=fingerprint)


def write_images(split: Split, path: Path) -> None:
    """Writes the images of a split to an .npy file, a few at a time."""
    count = len(split.labels())
    with ArrayFile(path, split.shape) as file:
        for start in range(0, count, _BLOCK):
            for pixels in split.read(np.arange(start, min(start + _BLOCK, count))):
                file.append(pixels)
