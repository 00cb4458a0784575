"""Images in .zip and .tar files, laid out as folders are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from cnnsearch.data.sources.archive_members import (
    Archive,
    Member,
    is_archive,
    open_archive,
    strip_suffix,
)
from cnnsearch.data.sources.class_folders import ROLES, ListedFiles, find_layout
from cnnsearch.data.sources.protocol import (
    Collection,
    Folders,
    Item,
    LeftOut,
    Source,
    digest,
    show_path,
)
from cnnsearch.data.sources.recognition import is_ignored
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
        for number, files in groupby(self.files, key=lambda file: file.archive):
            yield from self.archives[number].items(list(files))

    def plan(self) -> Mapping[str, Any]:
        archives = [[str(archive.path), *_stat(archive.path)] for archive in self.archives]
        files = [[f.path, f.label, f.size, f.archive, f.name, f.offset] for f in self.files]
        return {"kind": ArchiveSource.kind, "archives": archives, "files": files}


class ArchiveSource(Source):
    """An archive of class folders; or a folder of train, validation and test archives.

    Args:
        path: Of the archive, or of the folder.
        splits: Archives by the name of their split, in a folder.
    """

    kind = "archive"
    form = "a .zip or .tar of class folders"

    def __init__(
        self, path: Path, splits: Mapping[str, Path] | None = None, by_content: bool = True
    ) -> None:
        self.name = show_path(path)
        self._by_content = by_content
        self._splits = splits
        paths = [path] if splits is None else list(splits.values())
        self._archives = tuple(open_archive(path.resolve()) for path in paths)

    @classmethod
    def recognize(cls, text: str, folders: Folders) -> Self | None:
        path = Path(text).expanduser()
        if is_archive(path) and path.is_file():
            return cls(path, by_content=folders.by_content)
        splits = find_split_archives(path)
        return cls(path, splits, folders.by_content) if splits else None

    def witness(self) -> str:
        paths = [archive.path for archive in self._archives]
        seen = [(path, *_stat(path), path.stat().st_ctime_ns) for path in paths]
        return digest("archive", list(self._splits or ()), *seen)

    def open(self) -> Collection:
        layout = find_layout(self._root)
        return layout.collect({role: self._examples(files) for role, files in layout.parts.items()})

    @classmethod
    def reopen(cls, plan: Mapping[str, Any], folder: Path) -> ArchiveExamples:
        for name, *status in plan["archives"]:
            if list(_stat(Path(name))) != status:
                raise DataError(
                    f"{show_path(name)} changed since the data set was loaded; load it again"
                )
        archives = tuple(open_archive(Path(name)) for name, *_ in plan["archives"])
        return ArchiveExamples(tuple(ArchivedFile(*file) for file in plan["files"]), archives)

    @cached_property
    def _root(self) -> "MemberFolder":
        root = MemberFolder(self.name)
        for number, archive in enumerate(self._archives):
            above = () if self._splits is None else (list(self._splits)[number],)
            members = list(archive.members(self._by_content))
            depth = _count_wrapping_folders(members, keep=() if above else tuple(ROLES))
            for member in sorted(members, key=lambda member: bool(member.left_out)):
                parts = member.parts[depth:] or member.parts[-1:] * bool(member.left_out)
                root.add((*above, *parts), number, member)
        return root

    def _examples(self, files: tuple[ArchivedFile, ...]) -> ArchiveExamples:
        """Returns examples in the order of the archive if it can only be read in order."""
        if any(archive.ordered for archive in self._archives):
            files = tuple(sorted(files, key=lambda file: (file.archive, file.offset)))
        return ArchiveExamples(files, self._archives)


@dataclass
class MemberFolder:
    """A folder in an archive; see `Tree`."""

    where: str
    children: "dict[str, MemberFolder]" = field(default_factory=dict)
    found: dict[str, ArchivedFile | LeftOut] = field(default_factory=dict)

    def add(self, parts: Sequence[str], archive: int, member: Member) -> None:
        """Adds a member below this folder, at its path; a file left out makes no folder."""
        folder, path, depth = self, "/".join(parts), 0
        for name in parts if member.is_folder else parts[:-1]:
            if member.left_out and name not in folder.children:
                break
            folder = folder.children.setdefault(name, MemberFolder(f"{folder.where}/{name}"))
            depth += 1
        if member.left_out:
            folder.found["/".join(parts[depth:])] = LeftOut(path, member.left_out)
        elif not member.is_folder:
            folder.found[parts[-1]] = ArchivedFile(
                path, -1, member.size, archive, member.name, member.offset
            )

    def folders(self) -> "dict[str, MemberFolder]":
        return self.children

    def list_loose(self) -> list[str]:
        return list(self.found)

    def files(self, label: int) -> Iterator[ArchivedFile | LeftOut]:
        for file in self.found.values():
            yield file if isinstance(file, LeftOut) else replace(file, label=label)
        for child in self.children.values():
            yield from child.files(label)


def find_split_archives(folder: Path) -> dict[str, Path]:
    """Returns the archives named train, val or test in a folder without folders."""
    try:
        paths = [path for path in sorted(folder.iterdir()) if not is_ignored(path.name)]
    except (OSError, ValueError):
        return {}
    if any(path.is_dir() for path in paths):
        return {}
    archives = {strip_suffix(path): path for path in paths if is_archive(path) and path.is_file()}
    return {name: path for name, path in archives.items() if name.lower() in ROLES}


def _count_wrapping_folders(members: Sequence[Member], keep: Sequence[str]) -> int:
    """Returns how many folders are around the class folders or, if kept, the split folders."""
    images = [m.parts for m in members if not (m.is_folder or m.left_out)]
    depth = 0
    while images and len({parts[depth] for parts in images}) == 1:
        if images[0][depth].lower() in keep or min(map(len, images)) < depth + 3:
            break
        depth += 1
    return depth


def _stat(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{show_path(path)} cannot be read: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns
