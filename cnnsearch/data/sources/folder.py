"""Images in class folders on disk."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from cnnsearch.data.sources.class_folders import ListedFiles, arrange, is_hidden, is_image
from cnnsearch.data.sources.protocol import Collection, Item, are_characters, digest
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
        """The images, each read when its item is called."""
        return (partial(_read, self.root, file) for file in self.files)

    def take(self, rows: Sequence[int]) -> "FileExamples":
        """The examples of these rows."""
        return replace(self, files=tuple(self.files[row] for row in rows))

    def plan(self) -> Mapping[str, Any]:
        """How to list these examples again."""
        files = [[f.path, f.label, f.size, f.modified, f.changed] for f in self.files]
        return {"kind": "files", "root": str(self.root), "files": files}


def reopen(plan: Mapping[str, Any]) -> FileExamples:
    """Returns the examples that `FileExamples.plan` described."""
    return FileExamples(tuple(ImageFile(*file) for file in plan["files"]), Path(plan["root"]))


class FolderSource:
    """A folder of class folders, or of train, val and test folders with class folders in them."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.name = shown(root)

    def witness(self) -> str:
        """Changes whenever the source may have changed."""
        listed = self._listed
        plans = [part.plan() for part in (listed.train, listed.validation, listed.test) if part]
        return digest("folder", listed.class_names, *plans)

    def open(self) -> Collection:
        """Lists the examples."""
        return self._listed

    @cached_property
    def _listed(self) -> Collection:
        layout = arrange(Folder(self.root, self.root))
        parts = {role: FileExamples(files, self.root) for role, files in layout.parts.items()}
        return Collection(
            layout.names,
            parts["train"],
            parts.get("validation"),
            parts.get("test"),
            flip=not are_characters(layout.names),
        )


@dataclass(frozen=True)
class Folder:
    """A folder on disk; see `Tree`."""

    root: Path
    path: Path

    @property
    def where(self) -> str:
        """What messages call it."""
        return shown(self.path)

    def folders(self) -> "dict[str, Folder]":
        """The folders in it that are not hidden."""
        try:
            return {
                entry.name: Folder(self.root, Path(entry.path))
                for entry in os.scandir(self.path)
                if entry.is_dir() and not is_hidden(entry.name)
            }
        except OSError as error:
            raise DataError(f"{self.where} cannot be listed: {error.strerror}") from error

    def loose(self) -> int:
        """The number of images that lie in it directly."""
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
                yield listed(self.root, Path(path).relative_to(self.root).as_posix(), label)


def listed(root: Path, path: str, label: int) -> ImageFile:
    """Returns a file, relative to the root or absolute, as it is now; it need not be there."""
    try:
        status = os.stat(root / path)
    except (OSError, ValueError):  # a dangling link, no name; reading it will say so
        return ImageFile(path, label, -1, 0, 0)
    return ImageFile(path, label, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def shown(path: Path | str) -> str:
    """Returns a path that can be printed whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "replace")


def _read(root: Path, file: ImageFile) -> bytes:
    # Not blocking: opening a named pipe would wait for somebody to write into it.
    with os.fdopen(os.open(root / file.path, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("no file, but a folder or a device")
        if status.st_size > MOST_BYTES:
            raise ValueError(f"{status.st_size:,} bytes, an image may have {MOST_BYTES:,}")
        data = opened.read()
    if (status.st_size, status.st_mtime_ns) != (file.size, file.modified):
        raise DataError(f"{shown(file.path)} changed since the data set was loaded; load it again")
    return data
