"""Images in class folders on disk."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any, Self

from cnnsearch.data.sources.class_folders import ListedFiles, find_layout
from cnnsearch.data.sources.protocol import (
    Collection,
    Examples,
    Folders,
    Item,
    LeftOut,
    Source,
    digest,
    show_path,
)
from cnnsearch.data.sources.recognition import HEAD, explain_left_out, is_ignored
from cnnsearch.errors import DataError

MOST_BYTES = 256 << 20  # of one image


@dataclass(frozen=True)
class ImageFile:
    """A file as it was listed: path relative to the root, with forward slashes."""

    path: str
    label: int
    size: int
    modified: int
    changed: int


@dataclass(frozen=True)
class FileExamples(ListedFiles[ImageFile]):
    """Image files below one root; see `Examples`."""

    root: Path

    def items(self) -> Iterator[Item]:
        return (partial(read_file, self.root, file) for file in self.files)

    def plan(self) -> Mapping[str, Any]:
        files = [[f.path, f.label, f.size, f.modified, f.changed] for f in self.files]
        return {"kind": FolderSource.kind, "root": str(self.root), "files": files}


class FolderSource(Source):
    """A folder of class folders, or of train, val and test folders with class folders in them."""

    kind = "files"
    form = "a folder of class folders"

    def __init__(self, root: Path, by_content: bool = True) -> None:
        self.root = root.resolve()
        self.name = show_path(root)
        self._by_content = by_content

    @classmethod
    def recognize(cls, text: str, folders: Folders) -> Self | None:
        path = Path(text).expanduser()
        return cls(path, folders.by_content) if path.is_dir() else None

    def witness(self) -> str:
        return digest("folder", *describe_listing(self._listed))

    def open(self) -> Collection:
        return self._listed

    @classmethod
    def reopen(cls, plan: Mapping[str, Any], folder: Path) -> FileExamples:
        return FileExamples(tuple(ImageFile(*file) for file in plan["files"]), Path(plan["root"]))

    @cached_property
    def _listed(self) -> Collection:
        layout = find_layout(Folder(self.root, self.root, self._by_content))
        return layout.collect(
            {role: FileExamples(files, self.root) for role, files in layout.parts.items()}
        )


def describe_listing(listed: Collection) -> list[object]:
    """Returns class names, files of all splits and those left out, for a witness."""
    parts: list[Examples | None] = [listed.train, listed.validation, listed.test]
    return [listed.class_names, *(part.plan() for part in parts if part), *listed.left_out]


@dataclass(frozen=True)
class Folder:
    """A folder on disk; see `Tree`."""

    root: Path
    path: Path
    by_content: bool

    @property
    def where(self) -> str:
        return show_path(self.path)

    def folders(self) -> "dict[str, Folder]":
        try:
            return {
                entry.name: replace(self, path=Path(entry.path))
                for entry in os.scandir(self.path)
                if entry.is_dir() and not is_ignored(entry.name)
            }
        except OSError as error:
            raise DataError(f"{self.where} cannot be listed: {error.strerror}") from error

    def list_loose(self) -> list[str]:
        entries = os.scandir(self.path)
        return [each.name for each in entries if not (each.is_dir() or is_ignored(each.name))]

    def files(self, label: int) -> Iterator[ImageFile | LeftOut]:
        """Walks the folder; a link back to where the walk has been is not followed."""
        seen: set[tuple[int, int]] = set()
        for place, folders, names in os.walk(self.path, followlinks=True):
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = [name for name in folders if not is_ignored(name)]
            for name in (name for name in names if not is_ignored(name)):
                path = Path(place, name)
                key = path.relative_to(self.root).as_posix()
                read_head = partial(read_regular, path, HEAD) if self.by_content else None
                reason = explain_left_out(name, read_head)
                yield LeftOut(key, reason) if reason else list_file(self.root, key, label)


def list_file(root: Path, path: str, label: int) -> ImageFile:
    """Returns a file, relative to the root or absolute, as it is now; it need not be there."""
    try:
        status = os.stat(root / path)
    except (OSError, ValueError):  # a dangling link, an impossible name: reported when it is read
        return ImageFile(path, label, -1, 0, 0)
    return ImageFile(path, label, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_file(root: Path, file: ImageFile) -> bytes:
    """Returns the bytes of a regular file of at most `MOST_BYTES` that is as it was listed."""
    with _open_regular(root / file.path) as opened:
        status = os.fstat(opened.fileno())
        if status.st_size > MOST_BYTES:
            raise ValueError(f"{status.st_size:,} bytes, an image may have {MOST_BYTES:,}")
        data = opened.read()
    if (status.st_size, status.st_mtime_ns) != (file.size, file.modified):
        raise DataError(
            f"{show_path(file.path)} changed since the data set was loaded; load it again"
        )
    return data


def read_regular(path: Path, most: int) -> bytes:
    """Returns up to so many bytes of a regular file."""
    with _open_regular(path) as opened:
        return opened.read(most)


def _open_regular(path: Path) -> IO[bytes]:
    # Not blocking: opening a named pipe would wait for somebody to write into it.
    opened = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        opened.close()
        raise ValueError("no file, but a folder or a device")
    return opened
