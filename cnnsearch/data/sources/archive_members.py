"""Reading the members of .zip and .tar files in place: nothing is ever unpacked to disk."""

import bz2
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

from cnnsearch.data.sources.class_folders import is_hidden, is_image
from cnnsearch.data.sources.folder import shown
from cnnsearch.data.sources.protocol import Item
from cnnsearch.errors import DataError

MOST_BYTES = 256 << 20  # of one image, decompressed
MOST_MEMBERS = 5_000_000
MOST_GROWTH = 200  # times its own size that an archive may expand to,
MOST_EXPANDED = 1 << 30  # if that is more than so many bytes
MOST_HEADER = 16 << 20
SUFFIXES = (
    ".zip",
    *(".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"),
)
T = TypeVar("T")
_DRIVE = re.compile(r"[A-Za-z]:")
_PACKED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7": lzma.open,
}
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_DAMAGE = (
    *(OSError, EOFError, ValueError, OverflowError, IndexError, KeyError, RecursionError),
    *(tarfile.TarError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError),
)


@dataclass(frozen=True)
class Member:
    """An image or a folder in an archive.

    Attributes:
        parts: of its path; none leads out of the archive.
        name: as the archive spells it.
        size: in bytes, decompressed.
        is_image: it is a folder otherwise.
        offset: of its content in a tar; -1 in a zip.
    """

    parts: tuple[str, ...]
    name: str
    size: int
    is_image: bool
    offset: int = -1


class Place(Protocol):
    """Where the content of a member is."""

    @property
    def name(self) -> str:
        """As the archive spells it."""

    @property
    def size(self) -> int:
        """In bytes, decompressed."""

    @property
    def offset(self) -> int:
        """In a tar."""


class Archive(Protocol):
    """A .zip or .tar file."""

    path: Path
    ordered: bool
    """Whether members can only be read one after the other."""

    def members(self) -> Iterator[Member]:
        """Its folders and images; reads no image.

        Raises:
            DataError: It is damaged or encrypted, or a member is too large or leads out of it.
        """

    def items(self, places: Sequence[Place]) -> Iterator[Item]:
        """The content of members, each read when its item is called."""


class Zip:
    """A .zip file; its members can be read in any order and by several threads."""

    ordered = False

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _file(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except _DAMAGE as error:
            raise _unreadable(self.path, error) from error

    def members(self) -> Iterator[Member]:
        """Its folders and images; reads no image."""
        infos = list(_counted(self._file.infolist(), self.path))
        _check_growth(sum(info.file_size for info in infos), self.path)
        for info in {info.filename: info for info in infos}.values():
            parts = _parts(info.filename, self.path)
            if not _wanted(parts, folder := info.filename.endswith("/")):
                continue
            if folder:
                yield Member(parts, info.filename, 0, False)
                continue
            what = f"{shown(self.path)}: {info.filename!r}"
            if info.flag_bits & 1:
                raise DataError(f"{what} is encrypted; only archives without a password are read")
            if info.compress_type not in _METHODS:
                raise DataError(f"{what} is compressed by method {info.compress_type}, zip it anew")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise DataError(f"{what} is a link; an archive must hold the images themselves")
            yield Member(parts, info.filename, _checked(info.file_size, what), True)

    def items(self, places: Sequence[Place]) -> Iterator[Item]:
        """The content of members, each read when its item is called."""
        return (partial(self._file.read, place.name) for place in places)


class Tar:
    """A .tar file; a compressed one can only be read from its start on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self._open = _PACKED.get(file.read(2), open)
        self.ordered = self._open in _PACKED.values()

    def members(self) -> Iterator[Member]:
        """Its folders and images; reads no image."""
        try:
            with (
                self._open(self.path, "rb") as file,
                self._listing(file) as archive,
            ):
                infos = _counted(archive, self.path)
                found = {member.name: member for info in infos for member in self._members(info)}
                self._check_end(file, archive.offset)
        except _DAMAGE as error:
            raise _unreadable(self.path, error) from error
        yield from found.values()

    def _listing(self, file: Any) -> tarfile.TarFile:
        bounded: Any = _Bounded(file, self.path)
        return tarfile.open(fileobj=bounded, mode="r:")

    def _check_end(self, file: Any, offset: int) -> None:
        """`tarfile` takes a file that stops between two members for whole."""
        file.seek(offset)
        end = file.read(tarfile.BLOCKSIZE)
        if not end or end.strip(b"\0"):
            raise tarfile.ReadError("it ends too early")
        while self.ordered and file.read(1 << 20):  # up to the checksum of what was compressed
            _check_growth(file.tell(), self.path)

    def _members(self, info: tarfile.TarInfo) -> Iterator[Member]:
        parts = _parts(info.name, self.path)
        if not _wanted(parts, info.isdir()):
            return
        what = f"{shown(self.path)}: {shown(info.name)!r}"
        if info.issym() or info.islnk():
            raise DataError(f"{what} is a link; an archive must hold the images themselves")
        if info.isdir():
            yield Member(parts, info.name, 0, False)
        elif info.isreg() and not info.issparse():
            yield Member(parts, info.name, _checked(info.size, what), True, info.offset_data)

    def items(self, places: Sequence[Place]) -> Iterator[Item]:
        """The content of members; those of a compressed file are read as the iterator goes on."""
        if not self.ordered:
            yield from (partial(self._read, place) for place in places)
            return
        try:
            with self._open(self.path, "rb") as file:
                for place in places:
                    file.seek(place.offset)
                    yield partial(bytes, file.read(place.size))
        except _DAMAGE as error:
            raise _unreadable(self.path, error) from error

    def _read(self, place: Place) -> bytes:
        with self._open(self.path, "rb") as file:
            file.seek(place.offset)
            data: bytes = file.read(place.size)
        return data


class _Bounded:
    """A file that is read for `tarfile`, which believes whatever sizes a header names."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file, self._path = file, path
        self.tell = file.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        """Goes no further than an archive may expand."""
        _check_growth(offset, self._path)
        return int(self._file.seek(offset, whence))

    def read(self, size: int = -1) -> bytes:
        """Reads no more than a header could need."""
        if not 0 <= size <= MOST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return bytes(self._file.read(size))


def _check_growth(size: int, path: Path) -> None:
    if size > max(MOST_EXPANDED, MOST_GROWTH * path.stat().st_size):
        raise DataError(
            f"{shown(path)}: expands to {size:,} bytes or more, above {MOST_GROWTH} times its size"
        )


def is_archive(path: Path) -> bool:
    """Tells by a file's name whether it is an archive that can be read."""
    return path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """Returns the name of an archive without its suffix."""
    lower = path.name.lower()
    return path.name[: -max(len(suffix) for suffix in SUFFIXES if lower.endswith(suffix))]


def open_archive(path: Path) -> Archive:
    """Returns an archive that is there."""
    return Zip(path) if path.suffix.lower() == ".zip" else Tar(path)


def _counted(infos: Iterable[T], path: Path) -> Iterator[T]:
    for number, info in enumerate(infos):
        if number >= MOST_MEMBERS:
            raise DataError(f"{shown(path)}: holds more than {MOST_MEMBERS:,} members")
        yield info


def _parts(name: str, path: Path) -> tuple[str, ...]:
    text = name.replace("\\", "/")
    parts = PurePosixPath(text).parts
    if text.startswith("/") or ".." in parts or _DRIVE.match(text):
        raise DataError(f"{shown(path)}: the path {shown(name)!r} leads out of the archive")
    return parts


def _wanted(parts: tuple[str, ...], folder: bool) -> bool:
    if not parts or any(map(is_hidden, parts)):
        return False
    return folder or is_image(parts[-1])


def _checked(size: int, what: str) -> int:
    if size > MOST_BYTES:
        raise DataError(f"{what} has {size:,} bytes, an image may have {MOST_BYTES:,}")
    return size


def _unreadable(path: Path, error: Exception) -> DataError:
    why = str(error) or type(error).__name__
    return DataError(f"{shown(path)} cannot be read, it is damaged or no archive ({why})")
