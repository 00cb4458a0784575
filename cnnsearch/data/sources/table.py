"""Image files and their labels in a table: CSV or Parquet."""

import csv
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from cnnsearch.data.sources.class_folders import ROLES
from cnnsearch.data.sources.folder import FileExamples, FolderSource, describe_listing, list_file
from cnnsearch.data.sources.protocol import (
    Collection,
    Folders,
    Source,
    are_characters,
    digest,
    show_path,
)
from cnnsearch.data.sources.split import check_classes, sort_naturally
from cnnsearch.errors import DataError

_PARQUET = (".parquet", ".pq")
SUFFIXES = (".csv", ".tsv", *_PARQUET)
_PATHS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path")
_LABELS = ("label", "class", "class_name", "category")
_SPLITS = ("split", "subset")
_NO_SPLIT = object()
MOST_ROWS = 50_000_000
_MOST_NUMBERS = 50  # classes that are whole numbers, unless most have several images


@dataclass(frozen=True)
class Row:
    """One row: where it is in the table, and its values."""

    where: str
    path: str
    label: str
    role: str


class TableSource(Source):
    """A table with a column of paths, one of labels and, if there is, one of splits.

    Relative paths start at the table's folder; a label's text is the name of its class.
    """

    kind = "table"  # of no plan: its examples are files, as those of a folder
    form = "a .csv or .parquet of path,label"

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.name = show_path(path)

    @classmethod
    def recognize(cls, text: str, folders: Folders) -> Self | None:
        path = Path(text).expanduser()
        return cls(path) if path.suffix.lower() in SUFFIXES and path.is_file() else None

    def witness(self) -> str:
        return digest("table", *describe_listing(self._listed))

    def open(self) -> Collection:
        return self._listed

    @classmethod
    def reopen(cls, plan: Mapping[str, Any], folder: Path) -> FileExamples:
        return FolderSource.reopen(plan, folder)

    @cached_property
    def _listed(self) -> Collection:
        rows = _read_rows(self.path, self.name)
        names = tuple(sorted({r.label for r in rows if r.role == "train"}, key=sort_naturally))
        known = {name: index for index, name in enumerate(names)}
        for row in rows:
            if row.label not in known:
                raise DataError(
                    f"{self.name}, {row.where}: class {row.label!r} of the {row.role} split "
                    "has no training image"
                )
        parts = {role: self._examples(rows, role, known) for role in {row.role for row in rows}}
        self._check_exist([file for part in parts.values() for file in part.files])
        check_classes(parts["train"].labels, names, self.name)
        held = (parts.get("validation"), parts.get("test"))
        return Collection(names, parts["train"], *held, flip=not are_characters(names))

    def _examples(self, rows: Sequence[Row], role: str, known: Mapping[str, int]) -> FileExamples:
        root = self.path.parent
        files = [list_file(root, row.path, known[row.label]) for row in rows if row.role == role]
        return FileExamples(tuple(sorted(files, key=lambda file: file.path)), root)

    def _check_exist(self, files: Sequence[Any]) -> None:
        """Refuses a table none of whose files exists; a single missing one is a bad image."""
        if all(file.size < 0 for file in files):
            first = show_path(self.path.parent / files[0].path)
            raise DataError(
                f"{self.name}: none of its {len(files)} files exists, such as {first}; "
                "relative paths start at the folder of the table"
            )


def _read_rows(path: Path, name: str) -> list[Row]:
    read = _read_parquet if path.suffix.lower() in _PARQUET else _read_csv
    rows: list[Row] = []
    seen: dict[str, str] = {}
    for where, values in read(path, name):
        row = _check_row(f"{name}, {where}", where, values)
        if row.path in seen:
            raise DataError(f"{name}, {where}: {row.path!r} is listed before, in {seen[row.path]}")
        seen[row.path] = where
        rows.append(row)
    if not rows:
        raise DataError(f"{name}: no rows below the header")
    _check_no_numbers({row.label for row in rows}, len(rows), name)
    if all(row.role != "train" for row in rows):
        raise DataError(f"{name}: no row is of the split 'train'")
    return rows


def _check_no_numbers(labels: set[str], rows: int, name: str) -> None:
    """Refuses labels that are measurements: numbers with a fraction, or nearly all different."""
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return
    is_measured = any(not number.is_integer() for number in numbers)
    if is_measured or (len(labels) > _MOST_NUMBERS and 2 * len(labels) > rows):
        examples = " and ".join(sorted(labels)[:2])
        raise DataError(
            f"{name}: the labels are numbers, such as {examples}: regression is not supported, "
            "a label must name a class"
        )


def _check_row(place: str, where: str, values: Sequence[Any]) -> Row:
    """Returns a row whose path, label and split are valid."""
    path, label, split = values
    for what, value in (("path", path), ("label", label)):
        if value is None or value != value or not str(value).strip():
            raise DataError(f"{place}: the {what} is empty")
    if not isinstance(path, str):
        raise DataError(f"{place}: the path must be text, got {type(path).__name__}")
    if "\0" in path:
        raise DataError(f"{place}: the path {path!r} holds a zero byte")
    role = ROLES.get(str(split).strip().lower()) if split is not _NO_SPLIT else "train"
    if role is None:
        given = "empty" if split is None else repr(split)
        raise DataError(f"{place}: the split must be train, validation or test, it is {given}")
    return Row(where, os.path.normpath(path.strip()), str(label).strip(), role)


def _read_csv(path: Path, name: str) -> Iterator[tuple[str, Sequence[Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=_find_delimiter(file.readline()), strict=True)
            file.seek(0)
            yield from _read_records(lines, name)
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: is not UTF-8 text ({error.reason} at {error.start})") from error
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}") from error


def _read_records(lines: Any, name: str) -> Iterator[tuple[str, Sequence[Any]]]:
    header: list[str] | None = None
    try:
        for values in lines:
            where = f"line {lines.line_num}"
            if not any(value.strip() for value in values):
                continue
            if header is None:
                header = values
                columns = _find_columns(header, name)
            elif len(values) != len(header):
                raise DataError(
                    f"{name}, {where}: {len(values)} values, the header has {len(header)}"
                )
            else:
                yield where, [_NO_SPLIT if c is None else values[c] for c in columns]
    except csv.Error as error:
        raise DataError(f"{name}, line {lines.line_num}: {error}") from error
    if header is None:
        raise DataError(f"{name}: is empty; it needs a header, such as path,label")


def _find_delimiter(header: str) -> str:
    try:
        return csv.Sniffer().sniff(header, ",;\t|").delimiter
    except csv.Error:  # one column
        return ","


def _read_parquet(path: Path, name: str) -> Iterator[tuple[str, Sequence[Any]]]:
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DataError(f"{name}: pyarrow is not installed (pip install pyarrow)") from error
    try:
        header = list(parquet.read_schema(path).names)
        columns = _find_columns(header, name)
        wanted = [header[column] for column in columns if column is not None]
        if (rows := parquet.ParquetFile(path).metadata.num_rows) > MOST_ROWS:
            raise DataError(f"{name}: {rows:,} rows, more than {MOST_ROWS:,}")
        table = parquet.read_table(path, columns=wanted)
        values = [table.column(name).to_pylist() for name in wanted]
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, MemoryError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{name} is not a readable Parquet file ({why})") from error
    if len(values) == 2:
        values.append([_NO_SPLIT] * len(values[0]))
    for number, row in enumerate(zip(*values, strict=True), start=1):
        yield f"row {number}", row


def _find_columns(header: Sequence[str], name: str) -> tuple[int, int, int | None]:
    """Returns the positions of path, label and split."""
    path, label, split = (_find_column(header, known, name) for known in (_PATHS, _LABELS, _SPLITS))
    for place, known in ((path, _PATHS), (label, _LABELS)):
        if place is None:
            raise DataError(
                f"{name}: no column {known[0]!r} (or {', '.join(known[1:])}) in its header, "
                f"which is {', '.join(map(repr, header))}"
            )
    return path or 0, label or 0, split


def _find_column(header: Sequence[str], known: Sequence[str], name: str) -> int | None:
    places = [place for place, column in enumerate(header) if column.strip().lower() in known]
    if len(places) > 1:
        several = " and ".join(repr(header[place]) for place in places)
        raise DataError(f"{name}: has {several}; keep one column for the {known[0]}")
    return places[0] if places else None
