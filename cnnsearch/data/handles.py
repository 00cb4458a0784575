"""A loaded `Dataset` by a short text, so that a run finds the same one again when it is resumed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.data.sources.cache import read_json, write_json, writing
from cnnsearch.data.sources.cached_arrays import FOLDER, check_digest
from cnnsearch.errors import DataError

PREFIX = "dataset:"
_SPLITS = ("train", "validation", "test")


def save_handle(data: Dataset, cache_root: Path) -> str:
    """Writes where a data set's splits are; returns the text by which `load_handle` finds it.

    Raises:
        DataError: It is a view of another data set, or the cache cannot be written.
    """
    splits = {name: getattr(data, name) for name in _SPLITS}
    if any(type(split) is not Split for split in splits.values()):
        raise DataError(
            f"data: {data.source} is a part or a view of a data set; give search() the one that "
            "load() returned (train_share= takes a part)"
        )
    record = {**vars(data), **{name: _split_to_data(split) for name, split in splits.items()}}
    with writing(cache_root):
        write_json(_find_file(data.fingerprint, cache_root), record)
    return f"{PREFIX}{data.fingerprint}"


def load_handle(
    text: str, cache_root: Path, image: tuple[int, int], channels: int | None
) -> Dataset:
    """Returns the data set that `save_handle` wrote.

    Raises:
        DataError: It is gone, or has another size or other channels than requested.
    """
    fingerprint = text.removeprefix(PREFIX)
    check_digest(text, fingerprint)
    record = read_json(_find_file(fingerprint, cache_root))
    if record is None:
        raise DataError(f"{text}: is not known in this cache; give search() the data set again")
    if tuple(record["image"]) != tuple(image) or channels not in (None, record["channels"]):
        height, width = record["image"]
        raise DataError(
            f"{text}: was loaded as {height}x{width}x{record['channels']}, candidates read "
            f"{image[0]}x{image[1]}x{channels or record['channels']}; load it at that size"
        )
    values: dict[str, Any] = {
        **{key: tuple(v) if isinstance(v, list) else v for key, v in record.items()},
        **{part: _split_from_data(record[part]) for part in _SPLITS},
    }
    return Dataset(**values)


def _find_file(fingerprint: str, cache_root: Path) -> Path:
    return cache_root.expanduser().absolute() / FOLDER / f"{fingerprint}.json"


def _split_to_data(split: Split) -> dict[str, Any]:
    plan = None if split.plan is None else str(split.plan.absolute())
    return {**vars(split), "directory": str(split.directory.absolute()), "plan": plan}


def _split_from_data(record: Mapping[str, Any]) -> Split:
    plan = None if record["plan"] is None else Path(record["plan"])
    places = {"shape": tuple(record["shape"]), "directory": Path(record["directory"])}
    return Split(**{**record, **places, "plan": plan})
