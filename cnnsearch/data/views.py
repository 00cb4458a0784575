"""Splits made of other splits: two joined, or some rows of one; nothing is copied on disk."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.data.sources.protocol import digest
from cnnsearch.errors import DataError

if TYPE_CHECKING:
    Images = npt.NDArray[np.uint8]
    Labels = npt.NDArray[np.int32]
    Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class JoinedSplit(Split):
    """Splits one after another.

    Attributes:
        parts: of the same shape of images.
    """

    parts: tuple[Split, ...]

    @property
    def materialised(self) -> bool:
        """Whether all parts lie decoded in the cache."""
        return all(part.materialised for part in self.parts)

    def images(self) -> "Images":
        """Returns a copy of all images in memory; `read` does with less."""
        return np.concatenate([part.images() for part in self.parts])

    def labels(self) -> "Labels":
        """Returns the class indices as int32 (N,)."""
        return np.concatenate([part.labels() for part in self.parts])

    def read(self, rows: "Rows") -> "Images":
        """Returns the images of these rows, in order."""
        found = np.empty((len(rows), *self.shape), np.uint8)
        start = 0
        for part in self.parts:
            here = (rows >= start) & (rows < start + part.count)
            found[here] = part.read(rows[here] - start)
            start += part.count
        return found


@dataclass(frozen=True, kw_only=True)
class StratifiedShare(Split):
    """A share of a split that has each class in its proportion, drawn by a seed.

    Attributes:
        base: what it is a share of.
        share: in (0, 1].
        seed: of the draw.
    """

    base: Split
    share: float
    seed: int

    @property
    def materialised(self) -> bool:
        """Whether the whole split lies decoded in the cache."""
        return self.base.materialised

    def images(self) -> "Images":
        """Returns a copy of these images in memory; `read` does with less."""
        return self.base.read(self._rows())

    def labels(self) -> "Labels":
        """Returns the class indices as int32 (N,)."""
        return np.asarray(self.base.labels()[self._rows()])

    def read(self, rows: "Rows") -> "Images":
        """Returns the images of these rows, in order."""
        return self.base.read(self._rows()[rows])

    def _rows(self) -> "Rows":
        return stratified(self.base, self.share, self.seed)


@lru_cache(maxsize=4)
def stratified(split: Split, share: float, seed: int) -> "Rows":
    """Returns the rows of a share of a split, sorted: of every class its part, one at least."""
    labels = np.asarray(split.labels())
    draw = np.random.default_rng([seed, 0x5348]).permutation(len(labels))
    kept = []
    for label in np.unique(labels):
        rows = draw[labels[draw] == label]
        kept.append(rows[: max(1, round(share * len(rows)))])
    return np.sort(np.concatenate(kept))


def join(data: Dataset) -> Dataset:
    """Returns the data set with validation as part of train, and no validation."""
    train, validation = data.train, data.validation
    if not validation.count:
        return data
    joined = JoinedSplit(
        "train", train.count + validation.count, train.shape, train.directory,
        parts=(train, validation),
    )  # fmt: skip
    empty = Split("validation", 0, train.shape, Path(train.directory).parent / "none")
    fingerprint = digest(data.fingerprint, "joined")
    return replace(data, train=joined, validation=empty, fingerprint=fingerprint)


def thin(data: Dataset, share: float, seed: int) -> Dataset:
    """Returns the data set with a stratified share of train; all else stays as it is.

    Raises:
        DataError: the share is not within (0, 1].
    """
    if not 0 < share <= 1:
        raise DataError(f"train share: expected more than 0 and at most 1, got {share:g}")
    if share == 1:
        return data
    train = data.train
    count = len(stratified(train, share, seed))
    part = StratifiedShare(
        "train", count, train.shape, train.directory, base=train, share=share, seed=seed
    )
    fingerprint = digest(data.fingerprint, "share", share, seed)
    return replace(data, train=part, fingerprint=fingerprint)
