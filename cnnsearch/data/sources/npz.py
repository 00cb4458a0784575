"""Images in .npz files, with the names that Keras gives their arrays."""

import lzma
import math
import os
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
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
from cnnsearch.errors import DataError, nearest

_UNREADABLE = (
    *(OSError, ValueError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile),
    *(NotImplementedError, RuntimeError, TypeError, SyntaxError, OverflowError),
    tokenize.TokenError,
)


class NpzSource(Source):
    """An .npz file with x and y, or x_train and y_train; x_val, y_val, x_test, y_test beside.

    Args:
        path: The file.
        folder: Of the images that are unpacked while they are read.
    """

    kind = "npz"
    prefix = "npz:"
    form = "npz:FILE"

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self._folder = path.resolve(), folder.expanduser().absolute()
        self.name = f"{self.prefix}{path}"

    @classmethod
    def recognize(cls, text: str, folders: Folders) -> Self | None:
        path = Path(text.removeprefix(cls.prefix)).expanduser()
        is_meant = text.startswith(cls.prefix)
        if not is_meant and path.suffix != ".npz":
            return None
        if path.is_file():
            return cls(path, folders.cache or Path(tempfile.gettempdir()))
        if not is_meant:
            return None
        names = os.listdir(path.parent) if path.parent.is_dir() else []
        raise DataError(f"npz:{path}: no such file{nearest(path.name, names)}")

    def witness(self) -> str:
        return digest("npz", self.path, *self._stat(), self.path.stat().st_ctime_ns)

    def _stat(self) -> tuple[int, int]:
        status = self.path.stat()
        return status.st_size, status.st_mtime_ns

    def open(self) -> Collection:
        headers = _read_headers(self.path, self.name)
        pairs = _pair_arrays(headers, self.name)
        for x, y in pairs.values():
            check_shapes(f"{self.name}, {x} and {y}", headers[x][:2], headers[y][:2])
        seen = [self.read_array(y) for role, (_, y) in pairs.items() if role != "test"]
        given = None
        if "class_names" in headers:
            given = self.read_array("class_names").reshape(-1).tolist()
        values, names = find_classes(seen, given, self.name)
        parts = {
            role: self._examples(
                x, y, values, headers[x][0][0], digest(headers[x], headers[y], values)
            )
            for role, (x, y) in pairs.items()
        }
        depth = count_channels(headers[pairs["train"][0]][0])
        return collect_splits(parts, names, self.name, depth)

    @classmethod
    def reopen(cls, plan: Mapping[str, Any], folder: Path) -> ArrayExamples:
        source = cls(Path(plan["file"]), folder)
        try:
            status = source._stat()
        except OSError as error:
            raise DataError(f"{source.name} cannot be read: {error.strerror}") from error
        if list(status) != list(plan["status"]):
            raise DataError(f"{source.name} changed since the data set was loaded; load it again")
        keys = ("x", "y", "values", "length", "ident", "rows")
        return source._examples(*(plan[key] for key in keys))

    def _examples(
        self,
        x: str,
        y: str,
        values: Sequence[int],
        length: int,
        ident: str,
        rows: Sequence[int] | None = None,
    ) -> ArrayExamples:
        """Returns the examples of a pair of arrays of the file, neither of which is read yet."""
        origin = {"kind": self.kind, "file": str(self.path), "status": self._stat(), "x": x, "y": y}
        return ArrayExamples(
            name=x,
            length=length,
            rows=rows,
            pixels=cache(lambda: self.unpack_images(x)),
            classes=cache(lambda: index_labels(self.read_array(y), values, f"{self.name}, {y}")),
            ident=ident,
            origin={**origin, "values": list(values), "length": length, "ident": ident},
        )

    def read_array(self, name: str) -> Pixels:
        """Reads an array of labels or names."""
        try:
            with np.load(self.path, allow_pickle=False) as file:
                return np.asarray(file[name])
        except _UNREADABLE as error:
            raise self._unreadable_error(name, error) from error

    def unpack_images(self, name: str) -> UnpackedRows:
        """Unpacks an array of images, and checks the range of its values."""
        try:
            rows = UnpackedRows(self.path, name, self._folder)
            check_range(rows.kind, rows.span, f"{self.name}, {name}")
        except _UNREADABLE as error:
            raise self._unreadable_error(name, error) from error
        return rows

    def _unreadable_error(self, name: str, error: Exception) -> DataError:
        return DataError(f"{self.name}: array {name!r} cannot be read ({error})")


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
