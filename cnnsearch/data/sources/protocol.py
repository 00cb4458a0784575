"""What every source of images implements: examples that are listed first and read later."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[Any]
Raw: TypeAlias = bytes | Pixels
"""An undecoded image: the bytes of an image file, or an array (H, W) or (H, W, C)."""

Item: TypeAlias = Callable[[], Raw]
"""Reads one image when called, so that the reading happens in the thread that decodes it."""


class Examples(Protocol):
    """Listed, labelled images; no pixel is read before an item is called."""

    @property
    def keys(self) -> Sequence[str]:
        """A name for each image that stays the same wherever the source is copied to."""

    @property
    def labels(self) -> Sequence[int]:
        """The class index of each image."""

    def __len__(self) -> int: ...

    def items(self) -> Iterator[Item]:
        """The images in the order of `keys`."""

    def take(self, rows: Sequence[int]) -> "Examples":
        """The examples of these rows, in this order."""

    def stamp(self) -> str:
        """A digest of what is known without reading an image; part of the fingerprint."""

    def plan(self) -> Mapping[str, Any]:
        """JSON from which `Source.reopen` of the same ``kind`` lists the same examples again."""


@dataclass(frozen=True)
class LeftOut:
    """A file of a source that is not used, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{show_path(self.path)} ({self.reason})"


@dataclass(frozen=True)
class Collection:
    """A listed source. Splits that it lacks and channels that it does not declare are None.

    Attributes:
        class_names: Label i means ``class_names[i]``.
        train: All images, if the source has no splits.
        validation: Given by the source.
        test: Likewise.
        flip: Whether a mirrored image keeps its label.
        channels: 1 or 3.
        left_out: Files that are not used.
        closed: Whether no image can ever be added, as to a published data set: splits can then be
            exactly stratified, and still no image moves.
    """

    class_names: tuple[str, ...]
    train: Examples
    validation: Examples | None
    test: Examples | None
    flip: bool
    channels: int | None = None
    left_out: tuple[LeftOut, ...] = ()
    closed: bool = False


@dataclass(frozen=True)
class Folders:
    """Where sources find and keep files.

    Attributes:
        data_dir: Where TFDS keeps its prepared data; None: its default.
        cache: Root of the cache of decoded images; None: there is none.
        by_content: Whether files are recognized by their content if their name has no known
            suffix; cnnsearch 0.1 left such files out.
    """

    data_dir: Path | None = None
    cache: Path | None = None
    by_content: bool = True


class Source(ABC):
    """One kind of data source; `SOURCES` lists them all.

    Attributes:
        kind: What the plans of its examples carry as ``kind``.
        form: How it is written on the command line, for help texts and error messages.
        suggestions: Names to suggest for a misspelt one.
        name: Of this source, as it was given.
    """

    kind: ClassVar[str]
    form: ClassVar[str] = ""
    suggestions: ClassVar[tuple[str, ...]] = ()
    name: str

    @classmethod
    @abstractmethod
    def recognize(cls, text: str, folders: Folders) -> Self | None:
        """Returns the source that a text names, None if the text is of another kind.

        Raises:
            DataError: The text is of this kind, and names nothing that exists.
        """

    @abstractmethod
    def witness(self) -> str:
        """Returns a string that changes whenever the source may have changed; reads no image."""

    @abstractmethod
    def open(self) -> Collection:
        """Lists the examples."""

    @classmethod
    @abstractmethod
    def reopen(cls, plan: Mapping[str, Any], folder: Path) -> Examples:
        """Returns the examples that `Examples.plan` described.

        Args:
            plan: As it was written.
            folder: Of the plan, for temporary files.

        Raises:
            DataError: They changed or are gone.
        """


def digest(*parts: object) -> str:
    """Returns 32 hex digits for a sequence of values, by their text and their boundaries."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogateescape")
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()


def digest_raw(raw: Raw) -> str:
    """Returns 32 hex digits for the content of one image."""
    if isinstance(raw, bytes):
        return hashlib.blake2b(raw, digest_size=16).hexdigest()
    return digest(raw.shape, raw.dtype.str, np.ascontiguousarray(raw).tobytes())


def are_characters(class_names: Sequence[str]) -> bool:
    """Whether classes look like digits or letters, which must not be mirrored."""
    return all(
        (len(name) == 1 and name.isalnum()) or (name.isdigit() and int(name) <= 10)
        for name in class_names
    )


def show_path(path: Path | str) -> str:
    """Returns a path that can be printed whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "replace")
