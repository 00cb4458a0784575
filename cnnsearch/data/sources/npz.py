"""Images in .npz files, as Keras names their arrays."""

import lzma
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.data.sources.arrays import (
    ArrayExamples,
    check_shapes,
    check_span,
    class_values,
    collect,
    depth_of,
    indices,
)
from cnnsearch.data.sources.npy_rows import UnpackedRows, header
from cnnsearch.data.sources.protocol import Collection, Pixels, digest
from cnnsearch.errors import DataError

_PAIRS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
_UNREADABLE = (
    *(OSError, ValueError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile),
    *(
        NotImplementedError,
        RuntimeError,
        TypeError,
        SyntaxError,
        OverflowError,
        tokenize.TokenError,
    ),
)


class NpzSource:
    """An .npz file with x and y, or x_train and y_train; x_val, y_val, x_test, y_test beside.

    Args:
        path: The file.
        folder: Where images are unpacked while they are read.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self._folder = path.resolve(), folder.expanduser().absolute()
        self.name = f"npz:{path}"

    def witness(self) -> str:
        """Changes whenever the source may have changed."""
        return digest("npz", self.path, *self._status(), self.path.stat().st_ctime_ns)

    def _status(self) -> tuple[int, int]:
        status = self.path.stat()
        return status.st_size, status.st_mtime_ns

    def open(self) -> Collection:
        """Lists the examples."""
        headers = _headers(self.path, self.name)
        pairs = _pairs(headers, self.name)
        for x, y in pairs.values():
            check_shapes(f"{self.name}, {x} and {y}", headers[x][:2], headers[y][:2])
        seen = [self.array(y) for role, (_, y) in pairs.items() if role != "test"]
        given = self.array("class_names").reshape(-1).tolist() if "class_names" in headers else None
        values, names = class_values(seen, given, self.name)
        parts = {
            role: self.examples(
                x, y, values, headers[x][0][0], digest(headers[x], headers[y], values)
            )
            for role, (x, y) in pairs.items()
        }
        return collect(parts, names, self.name, depth_of(headers[pairs["train"][0]][0]), None)

    def examples(
        self,
        x: str,
        y: str,
        values: Sequence[int],
        length: int,
        ident: str,
        rows: Sequence[int] | None = None,
    ) -> ArrayExamples:
        """Returns the examples of a pair of arrays of the file, neither of which is read yet."""
        origin = {"kind": "npz", "file": str(self.path), "status": self._status(), "x": x, "y": y}
        return ArrayExamples(
            x,
            length,
            cache(lambda: self.images(x)),
            cache(lambda: indices(self.array(y), values, f"{self.name}, {y}")),
            ident,
            {**origin, "values": list(values), "length": length, "ident": ident},
            rows,
        )

    def array(self, name: str) -> Pixels:
        """Reads one array."""
        try:
            with np.load(self.path, allow_pickle=False) as file:
                return np.asarray(file[name])
        except _UNREADABLE as error:
            raise self._unreadable(name, error) from error

    def images(self, name: str) -> UnpackedRows:
        """Unpacks one array of images, and checks the range of its values."""
        try:
            rows = UnpackedRows(self.path, name, self._folder)
            check_span(rows.kind, rows.span, f"{self.name}, {name}")
        except _UNREADABLE as error:
            raise self._unreadable(name, error) from error
        return rows

    def _unreadable(self, name: str, error: Exception) -> DataError:
        return DataError(f"{self.name}: array {name!r} cannot be read ({error})")


def reopen(plan: Mapping[str, Any], folder: Path) -> ArrayExamples:
    """Returns the examples that a plan of an .npz file names; they are unpacked in ``folder``."""
    source = NpzSource(Path(plan["file"]), folder)
    try:
        status = source._status()
    except OSError as error:
        raise DataError(f"{source.name} cannot be read: {error.strerror}") from error
    if list(status) != list(plan["status"]):
        raise DataError(f"{source.name} changed since the data set was loaded; load it again")
    return source.examples(
        plan["x"], plan["y"], plan["values"], plan["length"], plan["ident"], plan["rows"]
    )


def _headers(path: Path, where: str) -> dict[str, tuple[tuple[int, ...], np.dtype[Any], int, int]]:
    """Shape, type, CRC-32 and size of every array, without reading any."""
    headers = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    shape, _, kind = header(file)
                    _check_size(shape, kind, member.file_size - file.tell())
                name = os.path.splitext(member.filename)[0]
                headers[name] = (shape, kind, member.CRC, member.file_size)
    except _UNREADABLE as error:
        raise DataError(f"{where} is not a readable .npz file ({error})") from error
    return headers


def _check_size(shape: tuple[int, ...], kind: np.dtype[Any], size: int) -> None:
    """NumPy makes room for what a header says before it reads a byte."""
    if kind.hasobject:  # pickled: never read, and refused by its type
        return
    if math.prod(shape) * kind.itemsize != size or min(shape, default=0) < 0:
        text = ", ".join(map(str, shape))
        raise ValueError(f"an array of ({text}) x {kind} is not {size:,} bytes")


def _pairs(headers: Mapping[str, Any], where: str) -> dict[str, tuple[str, str]]:
    pairs = {
        role: (f"x_{name}", f"y_{name}")
        for role, names in _PAIRS.items()
        for name in names
        if f"x_{name}" in headers
    }
    if not pairs:
        pairs = {"train": ("x", "y")}
    missing = [name for pair in pairs.values() for name in pair if name not in headers]
    if "train" not in pairs or missing:
        raise DataError(
            f"{where}: needs arrays x and y, or x_train and y_train; "
            f"{missing[0] if missing else 'x_train'!r} is missing, "
            f"it holds {', '.join(sorted(headers)) or 'nothing'}"
        )
    return pairs
