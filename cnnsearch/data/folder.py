"""Images in class folders, optionally below train, val and test folders."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from cnnsearch.data.decode import SUFFIXES
from cnnsearch.data.examples import Collection, Item, are_characters, digest
from cnnsearch.data.split import check_classes, natural
from cnnsearch.errors import DataError

_ROLES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class ImageFile:
    """A file as it was listed: path relative to the root, with forward slashes."""

    path: str
    label: int
    size: int
    modified: int
    changed: int


@dataclass(frozen=True)
class FileExamples:
    """Image files below one root; see `Examples`."""

    root: Path
    files: tuple[ImageFile, ...]

    @cached_property
    def keys(self) -> Sequence[str]:
        """A name for each image."""
        return [file.path for file in self.files]

    @cached_property
    def labels(self) -> Sequence[int]:
        """The class index of each image."""
        return [file.label for file in self.files]

    def __len__(self) -> int:
        return len(self.files)

    def items(self) -> Iterator[Item]:
        """The images, each read when its item is called."""
        return (partial(_read, self.root, file) for file in self.files)

    def take(self, rows: Sequence[int]) -> "FileExamples":
        """The examples of these rows."""
        return FileExamples(self.root, tuple(self.files[row] for row in rows))

    def stamp(self) -> str:
        """What is known without reading an image."""
        return digest(*((file.path, file.size, file.label) for file in self.files))

    def plan(self) -> Mapping[str, Any]:
        """How to list these examples again."""
        files = [[f.path, f.label, f.size, f.modified, f.changed] for f in self.files]
        return {"kind": "files", "root": str(self.root), "files": files}


def reopen(plan: Mapping[str, Any]) -> FileExamples:
    """Returns the examples that `FileExamples.plan` described."""
    return FileExamples(Path(plan["root"]), tuple(ImageFile(*file) for file in plan["files"]))


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
        roles = self._roles()
        classes = _class_folders(roles["train"])
        names = tuple(sorted(classes, key=natural))
        parts = {role: self._list(folder, names) for role, folder in roles.items()}
        where = shown(roles["train"])
        if len(names) == 1 and (inside := _folders(classes[names[0]])):
            raise DataError(
                f"{where}: holds one class, {names[0]!r}, which holds {len(inside)} folders; "
                f"is {shown(classes[names[0]])} the folder that is meant?"
            )
        check_classes(parts["train"].labels, names, where)
        return Collection(
            names,
            parts["train"],
            parts.get("validation"),
            parts.get("test"),
            flip=not are_characters(names),
        )

    def _roles(self) -> dict[str, Path]:
        """Which folder holds the classes of which split; the root itself if there are no splits."""
        folders = _folders(self.root)
        named = {name: path for name, path in folders.items() if name.lower() in _ROLES}
        strange = sorted(set(folders) - set(named))
        splits = {_ROLES[name.lower()] for name in named}
        is_split = "train" in splits and len(named) > 1 and any(map(_folders, named.values()))
        if not named or (strange and not is_split):
            return {"train": self.root}
        if strange:
            raise DataError(
                f"{self.name}: {strange[0]!r} lies beside the split folders "
                f"{', '.join(sorted(named))}: only train, val and test may"
            )
        if "train" not in splits:
            raise DataError(f"{self.name}: has {', '.join(sorted(named))} but no train folder")
        if len(splits) < len(named):
            raise DataError(f"{self.name}: two folders for one split: {', '.join(sorted(named))}")
        return {_ROLES[name.lower()]: path for name, path in named.items()}

    def _list(self, folder: Path, names: tuple[str, ...]) -> FileExamples:
        classes = _class_folders(folder)
        for name in sorted(set(classes) - set(names)):
            raise DataError(f"{shown(folder)}: class {name!r} has no folder in the training split")
        found = [
            (name, list(_images(self.root, classes[name], names.index(name))))
            for name in names
            if name in classes
        ]
        if not any(files for _, files in found):
            raise DataError(
                f"{shown(folder)}: no images ({' '.join(SUFFIXES)}) in its class folders"
            )
        for name, files in found:
            if not files:
                raise DataError(f"{shown(folder)}: class {name!r} is empty, it has no image")
        listed = sorted((file for _, files in found for file in files), key=lambda f: f.path)
        return FileExamples(self.root, tuple(listed))


def shown(path: Path | str) -> str:
    """Returns a path that can be printed whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "replace")


def _folders(folder: Path) -> dict[str, Path]:
    try:
        return {
            entry.name: Path(entry.path)
            for entry in os.scandir(folder)
            if entry.is_dir() and not _hidden(entry.name)
        }
    except OSError as error:
        raise DataError(f"{shown(folder)} cannot be listed: {error.strerror}") from error


def _class_folders(folder: Path) -> dict[str, Path]:
    folders = _folders(folder)
    if not folders:
        loose = sum(_is_image(name) for name in os.listdir(folder))
        what = f"{loose} images lie in it directly" if loose else "it holds no images"
        raise DataError(f"{shown(folder)}: no class folders, {what}; each class needs a folder")
    return folders


def _images(root: Path, folder: Path, label: int) -> Iterator[ImageFile]:
    """Walks a class folder; a link that leads back to where the walk has been is not followed."""
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not _hidden(name)]
        for name in filter(_is_image, names):
            path = os.path.join(place, name)
            yield ImageFile(Path(path).relative_to(root).as_posix(), label, *_status(path))


def _status(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)
    except OSError:  # a dangling link; reading it will say so
        return -1, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_image(name: str) -> bool:
    return not _hidden(name) and name.lower().endswith(SUFFIXES)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _read(root: Path, file: ImageFile) -> bytes:
    with (root / file.path).open("rb") as opened:
        status = os.fstat(opened.fileno())
        data = opened.read()
    if (status.st_size, status.st_mtime_ns) != (file.size, file.modified):
        raise DataError(f"{shown(file.path)} changed since the data set was loaded; load it again")
    return data
