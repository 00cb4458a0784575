"""The cache directory: every entry is written atomically, so that none is ever incomplete."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cnnsearch.errors import DataError
from cnnsearch.utils.atomic_files import publish_folder, temporary_folder, write_text


class ArrayFile:
    """An .npy file of uint8 images, written one image after another.

    Written rather than memory-mapped: a full disk under a memory map kills the process.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self._file = path.open("wb")
        self._shape = shape
        self.count = 0
        self._body = self._write_header()

    def append(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Adds one image of the shape given."""
        self._file.write(pixels.tobytes())
        self.count += 1

    def _write_header(self) -> int:
        np.lib.format.write_array_header_1_0(
            self._file,
            {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self._shape)},
        )
        return self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file:
            self._file.seek(0)
            if kind is None and self._write_header() != self._body:
                raise RuntimeError("the .npy header grew with the number of images")


def write_labels(path: Path, labels: list[int]) -> None:
    """Writes class indices as int32."""
    np.save(path, np.asarray(labels, dtype=np.int32))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON file, atomically."""
    write_text(path, json.dumps(value))


def read_json(path: Path) -> dict[str, Any] | None:
    """Returns what `write_json` wrote, or None if the file is missing or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def map_array(path: Path) -> npt.NDArray[Any]:
    """Returns an .npy file memory-mapped and read-only."""
    with _reading(path):
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]


def read_rows(path: Path, rows: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    """Returns rows of an .npy file, in order, read and not mapped.

    Mapped pages count as memory of the process that touched them until the system reclaims them;
    what is read here does not stay. Rows are read in the order in which they are on disk.
    """
    with _reading(path), path.open("rb", buffering=0) as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"version {version}")
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
        start, found = file.tell(), np.empty((len(rows), *shape[1:]), kind)
        size = found[:1].nbytes or int(np.prod(shape[1:])) * kind.itemsize
        for place in np.argsort(rows, kind="stable"):
            file.seek(start + int(rows[place]) * size)
            if file.readinto(memoryview(found[place]).cast("B")) != size:
                raise ValueError("it ends too early")
        return found


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise DataError(
            f"the cached array {path} cannot be read ({_reason_of(error)}): load the data set again"
        ) from error


def is_whole(directory: Path, count: int, shape: tuple[int, ...]) -> bool:
    """Whether the arrays of a split exist and have this length; cnnsearch 0.1 wrote no digests."""
    shapes = {"images": (count, *shape), "labels": (count,), "digests": (count, 16)}
    try:
        return all(map_array(directory / f"{n}.npy").shape == s for n, s in shapes.items())
    except DataError:
        return False


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """Yields a new directory inside `root` for `publish` to rename; removed if that never happens.

    Raises:
        DataError: The cache cannot be written, or the disk is full.
    """
    with writing(root), temporary_folder(root, "partial") as stage:
        yield stage


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Turns a failure to write into one line that names the cache."""
    try:
        yield
    except OSError as error:
        raise DataError(f"the cache {root} cannot be written: {_reason_of(error)}") from error


def publish(stage: Path, target: Path, *, replace: bool) -> None:
    """Renames a finished directory; of two writers of one target the first wins."""
    try:
        publish_folder(stage, target, replace=replace)
    except OSError:
        if not target.is_dir():
            raise


def _reason_of(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
