"""Splits made of other splits: two joined, or some rows of one; nothing is copied on disk."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.data.materialize import describe_copies
from cnnsearch.data.sources.cache import ArrayFile
from cnnsearch.data.sources.protocol import digest
from cnnsearch.errors import DataError
from cnnsearch.utils.units import pluralize

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

    def digests(self) -> Images:
        return np.concatenate([part.digests() for part in self.parts])

    def read(self, rows: Rows) -> Images:
        found = np.empty((len(rows), *self.shape), np.uint8)
        start = 0
        for part in self.parts:
            here = (rows >= start) & (rows < start + part.count)
            found[here] = part.read(rows[here] - start)
            start += part.count
        return found


@dataclass(frozen=True, kw_only=True)
class Selection(Split):
    """Some rows of a split; `images` copies them into memory.

    Attributes:
        base: The whole split.
    """

    base: Split

    @property
    def materialised(self) -> bool:
        return self.base.materialised

    def images(self) -> Images:
        return self.base.read(self.select_rows())

    def labels(self) -> Labels:
        return np.asarray(self.base.labels()[self.select_rows()])

    def digests(self) -> Images:
        return np.asarray(self.base.digests()[self.select_rows()])

    def read(self, rows: Rows) -> Images:
        return self.base.read(self.select_rows()[rows])

    def select_rows(self) -> Rows:
        """Returns the selected rows, sorted."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class StratifiedShare(Selection):
    """A random share of a split, the same of each class.

    Attributes:
        share: In (0, 1].
        seed: Of the draw.
    """

    share: float
    seed: int

    def select_rows(self) -> Rows:
        return draw_stratified(self.base, self.share, self.seed)


@dataclass(frozen=True, kw_only=True)
class WithoutCopies(Selection):
    """The images of a split whose pixels no held-out split has.

    Attributes:
        held: The held-out splits.
    """

    held: tuple[Split, ...]

    def select_rows(self) -> Rows:
        return np.flatnonzero(~find_copies(self.base, self.held))


@dataclass(frozen=True, kw_only=True)
class EvenRows(Selection):
    """As many rows of a split as ``count`` says, evenly spaced."""

    def select_rows(self) -> Rows:
        return np.linspace(0, self.base.count - 1, self.count).astype(np.intp)


@lru_cache(maxsize=4)
def find_copies(split: Split, others: tuple[Split, ...]) -> npt.NDArray[np.bool_]:
    """Returns for each image of a split whether another split has its pixels."""
    known = {row.tobytes() for other in others for row in other.digests()}
    return np.array([row.tobytes() in known for row in split.digests()], dtype=bool)


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


def take_few(data: Dataset, train: int, validation: int) -> Dataset:
    """Returns the data set with at most so many training and validation images: to time steps."""

    def pick(base: Split, most: int) -> Split:
        count = min(base.count, most)
        return EvenRows(base.name, count, base.shape, base.directory, base=base)

    fingerprint = digest(data.fingerprint, "few", train, validation)
    few, held = pick(data.train, train), pick(data.validation, validation)
    return replace(data, train=few, validation=held, fingerprint=fingerprint)


def drop_copies(data: Dataset, *, with_test: bool = False) -> Dataset:
    """Returns the data set without the training images whose pixels a held-out split has, too.

    Args:
        data: Whole.
        with_test: Compare with the test split, too, which is decoded for that.
    """
    held = tuple(part for part in (data.validation, data.test)[: 1 + with_test] if part.count)
    copies = int(find_copies(data.train, held).sum())
    if not copies:
        return data
    train = data.train
    part = WithoutCopies(
        "train", train.count - copies, train.shape, train.directory, base=train, held=held
    )
    warnings = [line for line in data.warnings if "--drop-copies" not in line]
    warnings.append(f"{pluralize(copies, 'training image')} left out: a held-out split has a copy.")
    fingerprint = digest(data.fingerprint, "without copies", with_test)
    return replace(data, train=part, fingerprint=fingerprint, warnings=tuple(warnings))


def find_test_copies(data: Dataset) -> list[str]:
    """Returns a warning, in a list, if test images have the pixels of training images."""
    copies = int(find_copies(data.test, (data.train,)).sum())
    return describe_copies(copies, data.test.count, "test")


def write_images(split: Split, path: Path) -> None:
    """Writes the images of a split to an .npy file, a few at a time."""
    count = len(split.labels())
    with ArrayFile(path, split.shape) as file:
        for start in range(0, count, _BLOCK):
            for pixels in split.read(np.arange(start, min(start + _BLOCK, count))):
                file.append(pixels)
