"""Images in class folders on disk."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

from cnnsearch.data.sources.class_folders import ListedFiles, find_layout, is_hidden, is_image
from cnnsearch.data.sources.protocol import (
    Collection,
    Examples,
    Folders,
    Item,
    Source,
    digest,
    show_path,
)
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

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.name = show_path(root)

    @classmethod
    def recognize(cls, text: str, folders: Folders) -> Self | None:
        path = Path(text).expanduser()
        return cls(path) if path.is_dir() else None

    def witness(self) -> str:
        return digest("folder", *describe_listing(self._listed))

    def open(self) -> Collection:
        return self._listed

    @classmethod
    def reopen(cls, plan: Mapping[str, Any], folder: Path) -> FileExamples:
        return FileExamples(tuple(ImageFile(*file) for file in plan["files"]), Path(plan["root"]))

    @cached_property
    def _listed(self) -> Collection:
        layout = find_layout(Folder(self.root, self.root))
        return layout.collect(
            {role: FileExamples(files, self.root) for role, files in layout.parts.items()}
        )


def describe_listing(listed: Collection) -> list[object]:
    """Returns class names and files of all splits, for a witness."""
    parts: list[Examples | None] = [listed.train, listed.validation, listed.test]
    return [listed.class_names, *(part.plan() for part in parts if part)]


@dataclass(frozen=True)
class Folder:
    """A folder on disk; see `Tree`."""

    root: Path
    path: Path

    @property
    def where(self) -> str:
        return show_path(self.path)

    def folders(self) -> "dict[str, Folder]":
        try:
            return {
                entry.name: Folder(self.root, Path(entry.path))
                for entry in os.scandir(self.path)
                if entry.is_dir() and not is_hidden(entry.name)
            }
        except OSError as error:
            raise DataError(f"{self.where} cannot be listed: {error.strerror}") from error

    def count_loose(self) -> int:
        return sum(is_image(name) for name in os.listdir(self.path))

    def images(self, label: int) -> Iterator[ImageFile]:
        """Walks the folder; a link back to where the walk has been is not followed."""
        seen: set[tuple[int, int]] = set()
        for place, folders, names in os.walk(self.path, followlinks=True):
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = [name for name in folders if not is_hidden(name)]
            for name in filter(is_image, names):
                path = os.path.join(place, name)
                yield list_file(self.root, Path(path).relative_to(self.root).as_posix(), label)


def list_file(root: Path, path: str, label: int) -> ImageFile:
    """Returns a file, relative to the root or absolute, as it is now; it need not be there."""
    try:
        status = os.stat(root / path)
    except (OSError, ValueError):  # a dangling link, an impossible name: reported when it is read
        return ImageFile(path, label, -1, 0, 0)
    return ImageFile(path, label, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_file(root: Path, file: ImageFile) -> bytes:
    """Returns the bytes of a regular file of at most `MOST_BYTES` that is as it was listed."""
    # Not blocking: opening a named pipe would wait for somebody to write into it.
    with os.fdopen(os.open(root / file.path, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("no file, but a folder or a device")
        if status.st_size > MOST_BYTES:
            raise ValueError(f"{status.st_size:,} bytes, an image may have {MOST_BYTES:,}")
        data = opened.read()
    if (status.st_size, status.st_mtime_ns) != (file.size, file.modified):
        raise DataError(
            f"{show_path(file.path)} changed since the data set was loaded; load it again"
        )
    return data
