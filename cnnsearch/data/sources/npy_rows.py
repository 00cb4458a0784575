"""Arrays of images in files, read a row at a time: a process never holds one whole."""

import os
import shutil
import tempfile
import weakref
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from cnnsearch.data.sources.cache import read_rows
from cnnsearch.data.sources.protocol import Pixels

_PIECE = 1 << 22  # bytes


class FileRows:
    """Rows of an .npy file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, row: int) -> Pixels:
        return np.asarray(read_rows(self._path, np.array([row]))[0])


class UnpackedRows:
    """Rows of an array in an .npz file, unpacked into a file without a name.

    Without a name it is gone with this process at the latest. Several threads may read.

    Args:
        path: The .npz file.
        name: Of the array.
        folder: Of the unpacked file.
    """

    def __init__(self, path: Path, name: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryFile(dir=folder) as file,
            zipfile.ZipFile(path) as archive,
            archive.open(f"{name}.npy") as member,
        ):
            self._shape, by_columns, self.kind = read_header(member)
            if by_columns:
                with np.load(path, allow_pickle=False) as arrays:
                    np.ascontiguousarray(arrays[name]).tofile(file)
            else:
                shutil.copyfileobj(member, file, _PIECE)
            file.flush()
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)

    def __getitem__(self, row: int) -> Pixels:
        size = int(np.prod(self._shape[1:])) * self.kind.itemsize
        data = os.pread(self._file, size, row * size)
        return np.frombuffer(data, self.kind).reshape(self._shape[1:])

    def span(self) -> tuple[float, float]:
        """Returns the smallest and the largest value; NaN if any value is."""
        found = []
        size = max(self.kind.itemsize, _PIECE // self.kind.itemsize * self.kind.itemsize)
        at = 0
        while data := os.pread(self._file, size, at):
            values = np.frombuffer(data, self.kind)
            found.append((float(values.min()), float(values.max())))
            at += len(data)
        lows, highs = zip(*found, strict=True)
        return float(np.min(lows)), float(np.max(highs))


def read_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Returns shape, whether columns come first, and type of an .npy file, and reads past them."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    return read(member)
