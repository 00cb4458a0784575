"""Arrays that `python_objects` wrote to the cache: images of one size, named by their content."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cnnsearch.data.sources.arrays import (
    ArrayExamples,
    collect_splits,
    count_channels,
    find_classes,
    index_labels,
)
from cnnsearch.data.sources.cache import map_array, read_json
from cnnsearch.data.sources.npy_rows import FileRows
from cnnsearch.data.sources.protocol import Collection, Folders, Source, digest
from cnnsearch.errors import DataError

FOLDER = "python"
"""Of the cache, for what came from Python."""
ABOUT = "about.json"


@dataclass(frozen=True, kw_only=True)
class CachedArrayExamples(ArrayExamples):
    """Rows of a split that was written to the cache."""

    kind = "stored"
    directory: str
    role: str
    values: list[int]

    @property
    def name(self) -> str:
        return self.role

    def read_classes(self) -> Sequence[int]:
        return index_labels(_map(self.directory, self.role, "labels"), self.values, self.role)

    def read_images(self) -> FileRows:
        return FileRows(Path(self.directory, self.role, "images.npy"))


class CachedArraysSource(Source):
    """What a Python object held, found again by its content."""

    kind = CachedArrayExamples.kind
    prefix = "python:"

    def __init__(self, content: str, cache_root: Path) -> None:
        self.name = f"{self.prefix}{content}"
        check_digest(self.name, content)
        self._directory = cache_root.expanduser().absolute() / FOLDER / content

    @classmethod
    def recognize(cls, text: str, folders: Folders) -> Self | None:
        if not text.startswith(cls.prefix) or folders.cache is None:
            return None
        return cls(text.removeprefix(cls.prefix), folders.cache)

    def witness(self) -> str:
        return digest("stored", self.name)

    def open(self) -> Collection:
        about = read_json(self._directory / ABOUT)
        if about is None:
            raise DataError(
                f"{self.name}: these images are not in the cache any more; "
                "give search() the same data and the run's name"
            )
        idents = about["idents"]
        labels = {role: _map(self._directory, role, "labels") for role in idents}
        seen = [found for role, found in labels.items() if role != "test"]
        values, names = find_classes(seen, about["class_names"], self.name)
        parts = {
            role: CachedArrayExamples(
                directory=str(self._directory),
                role=role,
                values=values,
                length=len(found),
                ident=idents[role],
            )
            for role, found in labels.items()
        }
        depth = count_channels(_map(self._directory, "train", "images").shape)
        return collect_splits(parts, names, self.name, depth)

    @classmethod
    def reopen(cls, plan: Mapping[str, Any], folder: Path) -> CachedArrayExamples:
        return CachedArrayExamples.from_plan(plan)


def check_digest(name: str, content: str) -> None:
    """Refuses what is no digest: it becomes part of a path."""
    if not re.fullmatch(r"[0-9a-f]{1,128}", content):
        raise DataError(f"{name}: expected hexadecimal digits behind the colon")


def _map(directory: Path | str, role: str, what: str) -> Any:
    return map_array(Path(directory, role, f"{what}.npy"))
