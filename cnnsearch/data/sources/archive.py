"""Images in .zip and .tar files, laid out as folders are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from cnnsearch.data.sources.archive_members import Archive, Member, is_archive, open_archive, stem
from cnnsearch.data.sources.class_folders import ROLES, ListedFiles, arrange, is_hidden
from cnnsearch.data.sources.folder import shown
from cnnsearch.data.sources.protocol import Collection, Item, are_characters, digest
from cnnsearch.errors import DataError


@dataclass(frozen=True)
class ArchivedFile:
    """An image as it was listed: path as if the archive were unpacked, and where it is."""

    path: str
    label: int
    size: int
    archive: int
    name: str
    offset: int


@dataclass(frozen=True)
class ArchiveExamples(ListedFiles[ArchivedFile]):
    """Images in archives; see `Examples`."""

    archives: tuple[Archive, ...]

    def items(self) -> Iterator[Item]:
        """The images, each read when its item is called."""
        for number, files in groupby(self.files, key=lambda file: file.archive):
            yield from self.archives[number].items(list(files))

    def take(self, rows: Sequence[int]) -> "ArchiveExamples":
        """The examples of these rows."""
        return replace(self, files=tuple(self.files[row] for row in rows))

    def plan(self) -> Mapping[str, Any]:
        """How to list these examples again."""
        archives = [[str(archive.path), *_status(archive.path)] for archive in self.archives]
        files = [[f.path, f.label, f.size, f.archive, f.name, f.offset] for f in self.files]
        return {"kind": "archive", "archives": archives, "files": files}


def reopen(plan: Mapping[str, Any]) -> ArchiveExamples:
    """Returns the examples that `ArchiveExamples.plan` described."""
    for name, *status in plan["archives"]:
        if list(_status(Path(name))) != status:
            raise DataError(f"{shown(name)} changed since the data set was loaded; load it again")
    archives = tuple(open_archive(Path(name)) for name, *_ in plan["archives"])
    return ArchiveExamples(tuple(ArchivedFile(*file) for file in plan["files"]), archives)


class ArchiveSource:
    """An archive of folders; or a folder of train, validation and test archives of class folders.

    Args:
        path: of the archive, or of the folder.
        splits: archives by the name of their split, in a folder.
    """

    def __init__(self, path: Path, splits: Mapping[str, Path] | None = None) -> None:
        self.name = shown(path)
        self._splits = splits
        paths = [path] if splits is None else list(splits.values())
        self._archives = tuple(open_archive(path.resolve()) for path in paths)

    def witness(self) -> str:
        """Changes whenever the source may have changed."""
        paths = [archive.path for archive in self._archives]
        seen = [(path, *_status(path), path.stat().st_ctime_ns) for path in paths]
        return digest("archive", list(self._splits or ()), *seen)

    def open(self) -> Collection:
        """Lists the examples."""
        layout = arrange(self._root)
        parts = {role: self._examples(files) for role, files in layout.parts.items()}
        return Collection(
            layout.names,
            parts["train"],
            parts.get("validation"),
            parts.get("test"),
            flip=not are_characters(layout.names),
        )

    @cached_property
    def _root(self) -> "MemberFolder":
        root = MemberFolder(self.name)
        for number, archive in enumerate(self._archives):
            above = () if self._splits is None else (list(self._splits)[number],)
            members = list(archive.members())
            depth = _wrapping(members, keep=() if above else tuple(ROLES))
            for member in members:
                root.add((*above, *member.parts[depth:]), number, member)
        return root

    def _examples(self, files: tuple[ArchivedFile, ...]) -> ArchiveExamples:
        """In the order of the archive where it cannot be read in another."""
        if any(archive.ordered for archive in self._archives):
            files = tuple(sorted(files, key=lambda file: (file.archive, file.offset)))
        return ArchiveExamples(files, self._archives)


@dataclass
class MemberFolder:
    """A folder in an archive; see `Tree`."""

    where: str
    children: "dict[str, MemberFolder]" = field(default_factory=dict)
    found: list[ArchivedFile] = field(default_factory=list)

    def add(self, parts: Sequence[str], archive: int, member: Member) -> None:
        """Puts a member where its path says."""
        folder = self
        for name in parts[:-1] if member.is_image else parts:
            folder = folder.children.setdefault(name, MemberFolder(f"{folder.where}/{name}"))
        if member.is_image:
            path = "/".join(parts)
            folder.found.append(
                ArchivedFile(path, -1, member.size, archive, member.name, member.offset)
            )

    def folders(self) -> "dict[str, MemberFolder]":
        """The folders in it."""
        return self.children

    def loose(self) -> int:
        """The number of images that lie in it directly."""
        return len(self.found)

    def images(self, label: int) -> Iterator[ArchivedFile]:
        """The images in it and, however deep, in its folders."""
        yield from (replace(file, label=label) for file in self.found)
        for child in self.children.values():
            yield from child.images(label)


def split_archives(folder: Path) -> dict[str, Path]:
    """Returns the archives named train, val or test that lie in a folder that has no folders."""
    try:
        paths = [path for path in sorted(folder.iterdir()) if not is_hidden(path.name)]
    except OSError:
        return {}
    if any(path.is_dir() for path in paths):
        return {}
    return {
        stem(path): path
        for path in paths
        if is_archive(path) and path.is_file() and stem(path).lower() in ROLES
    }


def _wrapping(members: Sequence[Member], keep: Sequence[str]) -> int:
    """Returns how many folders lie around the class folders or, if kept, the split folders."""
    images = [member.parts for member in members if member.is_image]
    depth = 0
    while images and len({parts[depth] for parts in images}) == 1:
        if images[0][depth].lower() in keep or min(map(len, images)) < depth + 3:
            break
        depth += 1
    return depth


def _status(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{shown(path)} cannot be read: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns
