"""What every source of images has in common: examples that are listed first and read later."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[Any]
Raw: TypeAlias = bytes | Pixels
"""An image as its source holds it: the bytes of an image file, or an array (H, W) or (H, W, C)."""

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
        """What can be said of the content without reading an image; part of the fingerprint."""

    def plan(self) -> Mapping[str, Any] | None:
        """JSON from which `reopen` lists the same examples again; None if they live in memory."""


@dataclass(frozen=True)
class Collection:
    """A source that has been listed. What it does not come with, or does not declare, is None."""

    class_names: tuple[str, ...]
    train: Examples
    validation: Examples | None
    test: Examples | None
    flip: bool
    channels: int | None = None


class Source(Protocol):
    """One form of data source."""

    name: str

    def witness(self) -> str:
        """A string that changes whenever the source may have changed; reads no image."""

    def open(self) -> Collection:
        """Lists the examples."""


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
    """Tells whether classes look like digits or letters, whose mirror image is another thing."""
    return all(
        (len(name) == 1 and name.isalnum()) or (name.isdigit() and int(name) <= 10)
        for name in class_names
    )
