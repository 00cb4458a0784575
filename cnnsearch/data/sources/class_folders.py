"""Class folders, optionally below train, val and test folders, on disk or in an archive."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, Protocol, Self, TypeVar

from cnnsearch.data.sources.protocol import (
    Collection,
    Examples,
    LeftOut,
    are_characters,
    digest,
)
from cnnsearch.data.sources.recognition import SUFFIXES, has_image_suffix
from cnnsearch.data.sources.split import check_classes, sort_naturally
from cnnsearch.errors import DataError
from cnnsearch.utils.units import pluralize

ROLES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""The split that a folder, a value or an array of this name holds."""


class Listed(Protocol):
    """An image file that has been listed: its key, its class and its size in bytes."""

    @property
    def path(self) -> str: ...

    @property
    def label(self) -> int: ...

    @property
    def size(self) -> int: ...


F = TypeVar("F", bound=Listed)
F_co = TypeVar("F_co", bound=Listed, covariant=True)


@dataclass(frozen=True)
class ListedFiles(Generic[F]):
    """What examples that are files have in common; see `Examples`."""

    files: tuple[F, ...]

    @cached_property
    def keys(self) -> Sequence[str]:
        return [file.path for file in self.files]

    @cached_property
    def labels(self) -> Sequence[int]:
        return [file.label for file in self.files]

    def __len__(self) -> int:
        return len(self.files)

    def take(self, rows: Sequence[int]) -> Self:
        return replace(self, files=tuple(self.files[row] for row in rows))

    def stamp(self) -> str:
        return digest(*((file.path, file.size, file.label) for file in self.files))


class Tree(Protocol[F_co]):
    """A folder, on disk or in an archive."""

    @property
    def where(self) -> str:
        """Its path, for messages."""

    def folders(self) -> "Mapping[str, Tree[F_co]]":
        """Returns the folders in it that are not hidden."""

    def list_loose(self) -> Iterable[str]:
        """Returns the names of files directly in it."""

    def files(self, label: int) -> Iterator[F_co | LeftOut]:
        """Yields the images in it and, however deep, in its folders, and what is left out."""


@dataclass(frozen=True)
class Layout(Generic[F]):
    """The images of each split; a class is a folder, its images are anywhere below it."""

    names: tuple[str, ...]
    parts: Mapping[str, tuple[F, ...]]
    left_out: tuple[LeftOut, ...]

    def collect(self, parts: Mapping[str, Examples]) -> Collection:
        """Returns the collection of these examples, by the name of their split."""
        return Collection(
            self.names,
            parts["train"],
            parts.get("validation"),
            parts.get("test"),
            flip=not are_characters(self.names),
            left_out=self.left_out,
        )


def find_layout(root: Tree[F]) -> Layout[F]:
    """Finds splits and classes.

    Raises:
        DataError: There is no class folder, an empty class, or splits that contradict each other.
    """
    trees = _find_splits(root)
    classes = _find_classes(trees["train"])
    names = tuple(sorted(classes, key=sort_naturally))
    listed = {role: _list_files(tree, names) for role, tree in trees.items()}
    parts = {role: images for role, (images, _) in listed.items()}
    left_out = [LeftOut(name, "beside the class folders") for name in root.list_loose()]
    for tree, (_, others) in zip(trees.values(), listed.values(), strict=True):
        left_out += others
        if tree is not root:
            prefix = tree.where.removeprefix(root.where).strip("/")
            loose = (f"{prefix}/{name}" for name in tree.list_loose())
            left_out += [LeftOut(name, "beside the class folders") for name in loose]
    where = trees["train"].where
    if len(names) == 1 and (inside := classes[names[0]].folders()):
        raise DataError(
            f"{where}: holds one class, {names[0]!r}, which holds "
            f"{pluralize(len(inside), 'folder')}; did you mean {classes[names[0]].where}?"
        )
    check_classes([file.label for file in parts["train"]], names, where)
    return Layout(names, parts, tuple(sorted(left_out, key=lambda one: one.path)))


def _find_splits(root: Tree[F]) -> Mapping[str, Tree[F]]:
    """Returns the folder that holds the classes of each split; the root if there are no splits."""
    folders = root.folders()
    named = {name: tree for name, tree in folders.items() if name.lower() in ROLES}
    strange = sorted(set(folders) - set(named))
    splits = {ROLES[name.lower()] for name in named}
    split = "train" in splits and len(named) > 1 and any(t.folders() for t in named.values())
    if not named or (strange and not split):
        return {"train": root}
    if strange:
        raise DataError(
            f"{root.where}: {strange[0]!r} lies beside the split folders "
            f"{', '.join(sorted(named))}: only train, val and test may"
        )
    if "train" not in splits:
        raise DataError(f"{root.where}: has {', '.join(sorted(named))} but no train folder")
    if len(splits) < len(named):
        raise DataError(f"{root.where}: two folders for one split: {', '.join(sorted(named))}")
    return {ROLES[name.lower()]: tree for name, tree in named.items()}


def _list_files(tree: Tree[F], names: tuple[str, ...]) -> tuple[tuple[F, ...], tuple[LeftOut, ...]]:
    """Returns the images of a split, sorted, and what is left out."""
    classes = _find_classes(tree)
    for name in sorted(set(classes) - set(names)):
        raise DataError(f"{tree.where}: class {name!r} has no folder in the training split")
    images: list[F] = []
    left_out: list[LeftOut] = []
    for name in (name for name in names if name in classes):
        for file in classes[name].files(names.index(name)):
            (left_out if isinstance(file, LeftOut) else images).append(file)  # type: ignore[arg-type]
    if not images:
        raise DataError(f"{tree.where}: no images ({' '.join(SUFFIXES)}) in its class folders")
    present = {file.label for file in images}
    for name in classes:
        if names.index(name) not in present:
            raise DataError(f"{tree.where}: class {name!r} is empty, it has no image")
    return tuple(sorted(images, key=lambda file: file.path)), tuple(left_out)


def _find_classes(tree: Tree[F]) -> Mapping[str, Tree[F]]:
    folders = tree.folders()
    if not folders:
        loose = sum(map(has_image_suffix, tree.list_loose()))
        what = f"{pluralize(loose, 'image')} directly in it" if loose else "it holds no images"
        raise DataError(f"{tree.where}: no class folders, {what}; each class needs a folder")
    return folders
