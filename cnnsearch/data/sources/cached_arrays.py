"""What Python objects left in the cache: raw images of one size, found again by their content."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.data.sources.arrays import ArrayExamples, class_values, collect, depth_of, indices
from cnnsearch.data.sources.cache import map_array, read_json, write_json, writing
from cnnsearch.data.sources.npy_rows import FileRows
from cnnsearch.data.sources.protocol import Collection, digest
from cnnsearch.errors import DataError

FOLDER = "python"
ABOUT = "about.json"
_SPLITS = ("train", "validation", "test")


class StoredSource:
    """Arrays that `objects.keep` wrote below a cache; named by their content."""

    def __init__(self, content: str, cache_root: Path) -> None:
        self.name = f"python:{content}"
        check_digest(self.name, content)
        self._directory = cache_root.expanduser().absolute() / FOLDER / content

    def witness(self) -> str:
        """Changes whenever the source may have changed."""
        return digest("stored", self.name)

    def open(self) -> Collection:
        """Lists the examples."""
        about = read_json(self._directory / ABOUT)
        if about is None:
            raise DataError(
                f"{self.name}: these images are not in the cache any more; "
                "give search() the same data and the run's name"
            )
        labels = {role: _array(self._directory, role, "labels") for role in about["idents"]}
        seen = [found for role, found in labels.items() if role != "test"]
        values, names = class_values(seen, about["class_names"], self.name)
        parts = {
            role: _examples(self._directory, role, values, len(found), about["idents"][role])
            for role, found in labels.items()
        }
        depth = depth_of(_array(self._directory, "train", "images").shape)
        return collect(parts, names, self.name, depth, None)


def check_digest(name: str, content: str) -> None:
    """Refuses what is no digest: it becomes part of a path."""
    if not re.fullmatch(r"[0-9a-f]{1,128}", content):
        raise DataError(f"{name}: expected hexadecimal digits behind the colon")


def reopen(plan: Mapping[str, Any]) -> ArrayExamples:
    """Returns the examples that a plan of stored arrays names."""
    directory = Path(plan["directory"])
    return _examples(
        directory, plan["role"], plan["values"], plan["length"], plan["ident"], plan["rows"]
    )


def _examples(
    directory: Path, role: str, values: list[int], length: int, ident: str, rows: Any = None
) -> ArrayExamples:
    origin = {"kind": "stored", "directory": str(directory), "role": role, "values": values}
    return ArrayExamples(
        role,
        length,
        lambda: FileRows(directory / role / "images.npy"),
        cache(lambda: indices(_array(directory, role, "labels"), values, role)),
        ident,
        {**origin, "length": length, "ident": ident},
        rows,
    )


def _array(directory: Path, role: str, what: str) -> Any:
    return map_array(directory / role / f"{what}.npy")


def keep_handle(data: Dataset, cache_root: Path) -> str:
    """Writes where a data set's splits lie; returns the source by which `load` finds it.

    Raises:
        DataError: It is a part or a union of another data set, or the cache cannot be written.
    """
    splits = {name: getattr(data, name) for name in _SPLITS}
    if any(type(split) is not Split for split in splits.values()):
        raise DataError(
            f"data: {data.source} is a part or a view of a data set; give search() the one that "
            "load() returned (train_share= takes a part)"
        )
    record = {**vars(data), **{name: _split_record(split) for name, split in splits.items()}}
    root = cache_root.expanduser().absolute()
    with writing(root):
        write_json(root / FOLDER / f"{data.fingerprint}.json", record)
    return f"dataset:{data.fingerprint}"


def recall_handle(
    fingerprint: str, cache_root: Path, image: tuple[int, int], channels: int | None
) -> Dataset:
    """Returns the data set that `keep_handle` wrote.

    Raises:
        DataError: It is gone, or has another size or other channels than are asked for.
    """
    name = f"dataset:{fingerprint}"
    check_digest(name, fingerprint)
    record = read_json(cache_root.expanduser().absolute() / FOLDER / f"{fingerprint}.json")
    if record is None:
        raise DataError(f"{name}: is not known in this cache; give search() the data set again")
    if tuple(record["image"]) != tuple(image) or channels not in (None, record["channels"]):
        height, width = record["image"]
        raise DataError(
            f"{name}: was loaded as {height}x{width}x{record['channels']}, candidates read "
            f"{image[0]}x{image[1]}x{channels or record['channels']}; load it at that size"
        )
    values: dict[str, Any] = {
        **{key: tuple(v) if isinstance(v, list) else v for key, v in record.items()},
        **{part: _split(record[part]) for part in _SPLITS},
    }
    return Dataset(**values)


def _split_record(split: Split) -> dict[str, Any]:
    plan = None if split.plan is None else str(split.plan.absolute())
    return {**vars(split), "directory": str(split.directory.absolute()), "plan": plan}


def _split(record: Mapping[str, Any]) -> Split:
    plan = None if record["plan"] is None else Path(record["plan"])
    places = {"shape": tuple(record["shape"]), "directory": Path(record["directory"])}
    return Split(**{**record, **places, "plan": plan})
