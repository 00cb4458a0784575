"""Images in .npz files, with the names that Keras gives their arrays."""

import lzma
import math
import os
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from cnnsearch.data.sources.arrays import (
    ArrayExamples,
    check_range,
    check_shapes,
    collect_splits,
    count_channels,
    find_classes,
    index_labels,
)
from cnnsearch.data.sources.class_folders import ROLES
from cnnsearch.data.sources.npy_rows import UnpackedRows, read_header
from cnnsearch.data.sources.protocol import Collection, Folders, Pixels, Source, digest
from cnnsearch.errors import DataError, suggest

_UNREADABLE = (
    *(OSError, ValueError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile),
    *(NotImplementedError, RuntimeError, TypeError, SyntaxError, OverflowError),
    tokenize.TokenError,
)


@dataclass(frozen=True, kw_only=True)
class NpzExamples(ArrayExamples):
    """Rows of a pair of arrays of a file, neither of which is read yet.

    Attributes:
        file: Its path.
        status: Its size and time of modification.
        x: Name of the images.
        y: Name of the labels.
        values: The labels that stand for class 0, 1, ...
        folder: Of the images that are unpacked while they are read.
        unpacked: Images by the name of their array, shared by all parts of a split.
    """

    kind = "npz"
    file: str
    status: tuple[int, int]
    x: str
    y: str
    values: list[int]
    folder: Path = field(repr=False)
    unpacked: dict[str, UnpackedRows] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.x

    def read_classes(self) -> Sequence[int]:
        where = f"{NpzSource.prefix}{self.file}, {self.y}"
        return index_labels(read_array(self.file, self.y), self.values, where)

    def read_images(self) -> UnpackedRows:
        if self.x not in self.unpacked:
            self.unpacked[self.x] = unpack_images(self.file, self.x, self.folder)
        return self.unpacked[self.x]


class NpzSource(Source):
    """An .npz file with x and y, or x_train and y_train; x_val, y_val, x_test, y_test beside.

    Args:
        path: The file.
        folder: Of the images that are unpacked while they are read.
    """

    kind = NpzExamples.kind
    prefix = "npz:"
    form = "npz:FILE"

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self._folder = path.resolve(), folder.expanduser().absolute()
        self.name = f"{self.prefix}{path}"

    @classmethod
    def recognize(cls, text: str, folders: Folders) -> Self | None:
        path = Path(text.removeprefix(cls.prefix)).expanduser()
        if not text.startswith(cls.prefix) and not (path.suffix == ".npz" and path.is_file()):
            return None
        if not path.is_file():
            names = os.listdir(path.parent) if path.parent.is_dir() else []
            raise DataError(f"{cls.prefix}{path}: no such file{suggest(path.name, names)}")
        return cls(path, folders.cache or Path(tempfile.gettempdir()))

    def witness(self) -> str:
        return digest("npz", self.path, *_stat(self.path), self.path.stat().st_ctime_ns)

    def open(self) -> Collection:
        headers = _read_headers(self.path, self.name)
        pairs = _pair_arrays(headers, self.name)
        for x, y in pairs.values():
            check_shapes(f"{self.name}, {x} and {y}", headers[x][:2], headers[y][:2])
        seen = [read_array(self.path, y) for role, (_, y) in pairs.items() if role != "test"]
        has_names = "class_names" in headers
        given = read_array(self.path, "class_names").reshape(-1).tolist() if has_names else None
        values, names = find_classes(seen, given, self.name)
        parts = {
            role: NpzExamples(
                file=str(self.path),
                status=_stat(self.path),
                x=x,
                y=y,
                values=values,
                length=headers[x][0][0],
                ident=digest(headers[x], headers[y], values),
                folder=self._folder,
            )
            for role, (x, y) in pairs.items()
        }
        depth = count_channels(headers[pairs["train"][0]][0])
        return collect_splits(parts, names, self.name, depth)

    @classmethod
    def reopen(cls, plan: Mapping[str, Any], folder: Path) -> NpzExamples:
        name = f"{cls.prefix}{plan['file']}"
        try:
            status = _stat(Path(plan["file"]))
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror}") from error
        if list(status) != list(plan["status"]):
            raise DataError(f"{name} changed since the data set was loaded; load it again")
        return NpzExamples.from_plan(plan, folder=folder)


def read_array(path: Path | str, name: str) -> Pixels:
    """Reads an array of labels or names."""
    with _reading(path, name), np.load(path, allow_pickle=False) as file:
        return np.asarray(file[name])


def unpack_images(path: Path | str, name: str, folder: Path) -> UnpackedRows:
    """Unpacks an array of images, and checks the range of its values."""
    with _reading(path, name):
        rows = UnpackedRows(Path(path), name, folder)
        check_range(rows.kind, rows.span, f"{NpzSource.prefix}{path}, {name}")
        return rows


@contextmanager
def _reading(path: Path | str, name: str) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        where = f"{NpzSource.prefix}{path}"
        raise DataError(f"{where}: array {name!r} cannot be read ({error})") from error


def _stat(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _read_headers(
    path: Path, where: str
) -> dict[str, tuple[tuple[int, ...], np.dtype[Any], int, int]]:
    """Returns shape, type, CRC-32 and size of every array, without reading any."""
    headers = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    shape, _, kind = read_header(file)
                    _check_size(shape, kind, member.file_size - file.tell())
                name = os.path.splitext(member.filename)[0]
                headers[name] = (shape, kind, member.CRC, member.file_size)
    except _UNREADABLE as error:
        raise DataError(f"{where} is not a readable .npz file ({error})") from error
    return headers


def _check_size(shape: tuple[int, ...], kind: np.dtype[Any], size: int) -> None:
    """Refuses a header that lies: NumPy would allocate what it states before it reads a byte."""
    if kind.hasobject:  # pickled: never read, and refused by its type
        return
    if math.prod(shape) * kind.itemsize != size or min(shape, default=0) < 0:
        text = ", ".join(map(str, shape))
        raise ValueError(f"an array of ({text}) x {kind} is not {size:,} bytes")


def _pair_arrays(headers: Mapping[str, Any], where: str) -> dict[str, tuple[str, str]]:
    """Returns the names of the images and the labels of each split."""
    found = {role: name for name, role in ROLES.items() if f"x_{name}" in headers}
    pairs = {role: (f"x_{name}", f"y_{name}") for role, name in found.items()}
    pairs = pairs or {"train": ("x", "y")}
    missing = [name for pair in pairs.values() for name in pair if name not in headers]
    if "train" not in pairs or missing:
        raise DataError(
            f"{where}: needs arrays x and y, or x_train and y_train; "
            f"{missing[0] if missing else 'x_train'!r} is missing, "
            f"it holds {', '.join(sorted(headers)) or 'nothing'}"
        )
    return pairs
