"""Reading the members of .zip and .tar files in place: nothing is ever unpacked to disk.

Archives are not trusted: stated sizes are bounded, and paths that lead out are refused.
"""

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

from cnnsearch.data.sources.protocol import Item, show_path
from cnnsearch.data.sources.recognition import HEAD, explain_left_out, is_ignored
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
_OPENERS: dict[bytes, Callable[..., Any]] = {
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
    """A file or a folder in an archive.

    Attributes:
        parts: Of its path; none leads out of the archive.
        name: As the archive spells it.
        size: In bytes, decompressed.
        is_folder: Whether it is one.
        offset: Of its content in a tar; -1 in a zip.
        left_out: Why it is not used, empty for an image.
    """

    parts: tuple[str, ...]
    name: str
    size: int
    is_folder: bool
    offset: int = -1
    left_out: str = ""


class Place(Protocol):
    """Where the content of a member is: its name as the archive spells it, size and offset."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def offset(self) -> int: ...


class Archive(Protocol):
    """A .zip or .tar file."""

    path: Path
    ordered: bool
    """Whether members can only be read one after the other."""

    def members(self, by_content: bool) -> Iterator[Member]:
        """Yields its folders and files; reads the first bytes of files without a known suffix.

        Raises:
            DataError: It is damaged or encrypted, or a member is too large or leads out of it.
        """

    def items(self, places: Sequence[Place]) -> Iterator[Item]:
        """Yields the content of members, each read when its item is called."""


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
            raise _unreadable_error(self.path, error) from error

    def members(self, by_content: bool) -> Iterator[Member]:
        infos = list(_limit_members(self._file.infolist(), self.path))
        _check_growth(sum(info.file_size for info in infos), self.path)
        for info in {info.filename: info for info in infos}.values():
            parts = _split_path(info.filename, self.path)
            if not parts or any(map(is_ignored, parts)):
                continue
            is_folder, reason = info.filename.endswith("/"), ""
            if not is_folder:
                read = partial(self._read_head, info) if by_content else None
                reason = explain_left_out(parts[-1], read)
            if not (is_folder or reason):
                self._check_image(info)
            yield Member(parts, info.filename, info.file_size, is_folder, left_out=reason)

    def _read_head(self, info: zipfile.ZipInfo) -> bytes:
        try:
            with self._file.open(info) as file:
                return file.read(HEAD)
        except (*_DAMAGE, RuntimeError) as error:  # encrypted, for one
            raise ValueError(error) from error

    def _check_image(self, info: zipfile.ZipInfo) -> None:
        what = f"{show_path(self.path)}: {info.filename!r}"
        if info.flag_bits & 1:
            raise DataError(f"{what} is encrypted; only archives without a password are read")
        if info.compress_type not in _METHODS:
            raise DataError(f"{what} is compressed by method {info.compress_type}, zip it anew")
        _check_plain(stat.S_ISLNK(info.external_attr >> 16), info.file_size, what)

    def items(self, places: Sequence[Place]) -> Iterator[Item]:
        return (partial(self._file.read, place.name) for place in places)


class Tar:
    """A .tar file; a compressed one can only be read from its start on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self._open = _OPENERS.get(file.read(2), open)
        self.ordered = self._open in _OPENERS.values()

    def members(self, by_content: bool) -> Iterator[Member]:
        try:
            with self._open(self.path, "rb") as file:
                bounded: Any = _Bounded(file, self.path)
                with tarfile.open(fileobj=bounded, mode="r:") as archive:
                    infos = _limit_members(archive, self.path)
                    members = (self._list(info, bounded if by_content else None) for info in infos)
                    found = {member.name: member for member in members if member}
                    self._check_end(file, archive.offset)
        except _DAMAGE as error:
            raise _unreadable_error(self.path, error) from error
        yield from found.values()

    def _check_end(self, file: Any, offset: int) -> None:
        """Refuses a file that stops between two members, which `tarfile` takes for complete."""
        file.seek(offset)
        end = file.read(tarfile.BLOCKSIZE)
        if not end or end.strip(b"\0"):
            raise tarfile.ReadError("it ends too early")
        while self.ordered and file.read(1 << 20):  # up to the checksum of what was compressed
            _check_growth(file.tell(), self.path)

    def _list(self, info: tarfile.TarInfo, file: Any) -> Member | None:
        parts = _split_path(info.name, self.path)
        if not parts or any(map(is_ignored, parts)):
            return None
        if info.isdir():
            return Member(parts, info.name, 0, True)

        def read_head() -> bytes:
            file.seek(info.offset_data)
            return bytes(file.read(min(HEAD, info.size)))

        is_file = info.isreg() and not info.issparse()
        reason = explain_left_out(parts[-1], read_head if file and is_file else None)
        is_link = info.issym() or info.islnk()
        if not reason:
            _check_plain(is_link, info.size, f"{show_path(self.path)}: {show_path(info.name)!r}")
            reason = "" if is_file else "not a regular file"
        return Member(parts, info.name, info.size, False, info.offset_data, reason)

    def items(self, places: Sequence[Place]) -> Iterator[Item]:
        """Yields the content of members; that of a compressed file is read by the iterator."""
        if not self.ordered:
            yield from (partial(self._read, place) for place in places)
            return
        try:
            with self._open(self.path, "rb") as file:
                for place in places:
                    file.seek(place.offset)
                    yield partial(bytes, file.read(place.size))
        except _DAMAGE as error:
            raise _unreadable_error(self.path, error) from error

    def _read(self, place: Place) -> bytes:
        with self.path.open("rb") as file:
            file.seek(place.offset)
            return file.read(place.size)


class _Bounded:
    """A file that bounds what is read for `tarfile`, which believes any size in a header."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file, self._path = file, path
        self.tell = file.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        _check_growth(offset, self._path)
        return int(self._file.seek(offset, whence))

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MOST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return bytes(self._file.read(size))


def _check_growth(size: int, path: Path) -> None:
    if size > max(MOST_EXPANDED, MOST_GROWTH * path.stat().st_size):
        raise DataError(
            f"{show_path(path)}: expands to {size:,} bytes or more, above {MOST_GROWTH} times "
            "its size"
        )


def is_archive(path: Path) -> bool:
    """Whether a file has the name of an archive that can be read."""
    return path.name.lower().endswith(SUFFIXES)


def strip_suffix(path: Path) -> str:
    """Returns the name of an archive without its suffix."""
    lower = path.name.lower()
    return path.name[: -max(len(suffix) for suffix in SUFFIXES if lower.endswith(suffix))]


def open_archive(path: Path) -> Archive:
    """Returns an archive that exists."""
    return Zip(path) if path.suffix.lower() == ".zip" else Tar(path)


def _limit_members(infos: Iterable[T], path: Path) -> Iterator[T]:
    for number, info in enumerate(infos):
        if number >= MOST_MEMBERS:
            raise DataError(f"{show_path(path)}: holds more than {MOST_MEMBERS:,} members")
        yield info


def _split_path(name: str, path: Path) -> tuple[str, ...]:
    text = name.replace("\\", "/")
    parts = PurePosixPath(text).parts
    if text.startswith("/") or ".." in parts or _DRIVE.match(text):
        raise DataError(f"{show_path(path)}: the path {show_path(name)!r} leads out of the archive")
    return parts


def _check_plain(is_link: bool, size: int, what: str) -> None:
    if is_link:
        raise DataError(f"{what} is a link; an archive must hold the images themselves")
    if size > MOST_BYTES:
        raise DataError(f"{what} has {size:,} bytes, an image may have {MOST_BYTES:,}")


def _unreadable_error(path: Path, error: Exception) -> DataError:
    why = str(error) or type(error).__name__
    return DataError(f"{show_path(path)} cannot be read, it is damaged or no archive ({why})")
