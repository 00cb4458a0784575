"""Images that a Python program holds: arrays, `tf.data.Dataset`, `keras.utils.PyDataset`.

They are recognized by the name of their type, so that no framework is imported to check.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnsearch.data.dataset import Dataset
from cnnsearch.data.handles import save_handle
from cnnsearch.data.sources import cache
from cnnsearch.data.sources.arrays import check_shapes
from cnnsearch.data.sources.cached_arrays import ABOUT, FOLDER, CachedArraysSource
from cnnsearch.data.sources.class_folders import ROLES
from cnnsearch.data.sources.decode import to_uint8
from cnnsearch.data.sources.protocol import Pixels, digest, digest_raw
from cnnsearch.errors import DataError

Batch = tuple[Pixels, Pixels]
FORMS = (
    "a source's name, a Dataset, arrays (x, y), a tf.data.Dataset or keras.utils.PyDataset of "
    "(image, label), three of these (train, validation, test), or a dict of them"
)
_SPLITS = ("train", "validation", "test")
_CHUNK = 1024
_SAMPLED = 64  # images by which floats are taken for 0..1 or 0..255
_CHANNELS = (1, 3, 4)


def save_object(data: object, cache_root: Path) -> str:
    """Writes what a Python object holds to the cache; returns the source by which `load` finds it.

    Args:
        data: See `cnnsearch.search`.
        cache_root: As for `load`.

    Raises:
        DataError: It has none of the forms, or holds no images of one size with a label each.
    """
    if isinstance(data, str | Path):
        return str(data)
    if isinstance(data, Dataset):
        return save_handle(data, cache_root)
    parts, class_names = _find_splits(data)
    root = cache_root.expanduser().absolute()
    with cache.staging(root) as stage:
        idents = {role: _write(stage / role, part, f"data, {role}") for role, part in parts.items()}
        cache.write_json(stage / ABOUT, {"class_names": class_names, "idents": idents})
        content = digest(class_names, *sorted(idents.items()))
        cache.publish(stage, root / FOLDER / content, replace=False)
    return f"{CachedArraysSource.prefix}{content}"


def _find_splits(data: object) -> tuple[dict[str, object], list[str] | None]:
    """Returns the object of each split, and the names of the classes if they are known."""
    if isinstance(data, Mapping):
        return _find_named_splits(data)
    if _is_split(data):
        parts = {"train": data}
    elif isinstance(data, tuple | list) and data and all(map(_is_split, data)):
        if len(data) != len(_SPLITS):
            raise DataError(
                f"data: {len(data)} splits are given, name them: {{'train': ..., 'test': ...}}"
            )
        parts = dict(zip(_SPLITS, data, strict=True))
    else:
        raise DataError(f"data: expected {FORMS}; got {_describe_type(data)}")
    return parts, _read_class_names(parts["train"])


def _find_named_splits(data: Mapping[Any, Any]) -> tuple[dict[str, object], list[str] | None]:
    names = data.get("class_names")
    given = {key: part for key, part in data.items() if key != "class_names" and part is not None}
    parts: dict[str, object] = {}
    for key, part in given.items():
        role = ROLES.get(str(key).lower())
        if role is None or role in parts:
            raise DataError(
                f"data: {key!r} is not one of 'train', 'validation', 'test' and 'class_names', "
                "each once"
            )
        if not _is_split(part):
            kind = _describe_type(part)
            raise DataError(f"data[{key!r}]: expected arrays (x, y) or a data set, {kind}")
        parts[role] = part
    if "train" not in parts:
        raise DataError(f"data: no 'train' among {', '.join(map(repr, data)) or 'nothing'}")
    known = _read_class_names(parts["train"]) if names is None else [str(n) for n in names]
    return parts, known


def _is_split(data: object) -> bool:
    return _is_pair(data) or _is_a(data, "tensorflow", "DatasetV2") or _is_py_dataset(data)


def _is_py_dataset(data: object) -> bool:
    return _is_a(data, "keras", "PyDataset")


def _is_pair(data: object) -> bool:
    return (
        isinstance(data, tuple | list)
        and len(data) == 2
        and all(hasattr(part, "__array__") and hasattr(part, "shape") for part in data)
    )


def _is_a(data: object, package: str, name: str) -> bool:
    return any(
        base.__name__ == name and base.__module__.split(".")[0] == package
        for base in type(data).__mro__
    )


def _read_class_names(data: object) -> list[str] | None:
    """Returns what `keras.utils.image_dataset_from_directory` notes on what it returns."""
    names = getattr(data, "class_names", None)
    return [str(name) for name in names] if isinstance(names, list | tuple) else None


def _write(directory: Path, data: object, where: str) -> str:
    """Writes images.npy and labels.npy; returns a digest whatever the order of the images."""
    directory.mkdir()
    batches = _read_batches(data, where)
    first = _read_first(batches)
    if not first:
        raise DataError(f"{where}: holds no images")
    top = max((float(x.max()) for x, _ in first if x.dtype.kind == "f"), default=0.0)
    shape, labels, contents = first[0][0].shape[1:], [], []
    with cache.ArrayFile(directory / "images.npy", (*shape, 1)[:3]) as file:
        for x, y in chain(first, batches):
            if x.shape[1:] != shape:
                raise DataError(
                    f"{where}: images of {shape} and of {x.shape[1:]}; resize them to one shape"
                )
            for pixels, label in zip(_convert_images(x, top, where), y, strict=True):
                file.append(pixels)
                labels.append(int(label))
                contents.append(f"{digest_raw(pixels)} {int(label)}")
    cache.write_labels(directory / "labels.npy", labels)
    return digest(shape, *sorted(contents))


def _read_first(batches: Iterator[Batch]) -> list[Batch]:
    found: list[Batch] = []
    while sum(len(y) for _, y in found) < _SAMPLED and (batch := next(batches, None)):
        found.append(batch)
    return found


def _convert_images(x: Pixels, top: float, where: str) -> Iterator[npt.NDArray[np.uint8]]:
    """Yields images as uint8; floats are 0..1, or 0..255 if the largest of the first, top, is."""
    floats = x.dtype.kind == "f"
    high = 1 if floats and top <= 1 else 255
    if x.dtype.kind != "b" and not (x.min() >= 0 and x.max() <= high):
        wanted = "0..1 throughout, or 0..255 throughout" if floats else "0..255"
        raise DataError(
            f"{where}: {x.dtype} images must be within {wanted}, found {x.min():g} to {x.max():g}"
        )
    if floats and high == 255:
        x = np.rint(x).astype(np.uint8)
    return (to_uint8(image) for image in x)


def _read_batches(data: object, where: str) -> Iterator[Batch]:
    """Yields images (n, H, W) or (n, H, W, C) and labels (n,), checked."""
    if _is_pair(data):
        yield from _cut_pair(data, where)
        return
    for element in _read_elements(data, where):
        if not isinstance(element, tuple | list) or len(element) != 2:
            is_sequence = isinstance(element, tuple | list)
            what = f"{len(element)} parts" if is_sequence else _describe_type(element)
            raise DataError(f"{where}: elements must be (image, label), got {what}")
        x, y = (np.asarray(part) for part in element)
        if x.ndim == 2 or (x.ndim == 3 and (y.ndim == 0 or x.shape[2] in _CHANNELS)):
            x, y = x[np.newaxis], y[np.newaxis]
        yield x, _check_labels(x, y, where)


def _cut_pair(pair: Any, where: str) -> Iterator[Batch]:
    x, y = (np.asarray(part) for part in pair)
    y = _check_labels(x, y, where)
    yield from ((x[at : at + _CHUNK], y[at : at + _CHUNK]) for at in range(0, len(x), _CHUNK))


def _read_elements(data: Any, where: str) -> Iterator[Any]:
    if _is_py_dataset(data):
        if data.num_batches is None:
            raise DataError(f"{where}: the PyDataset has no end, its num_batches is None")
        yield from (data[number] for number in range(data.num_batches))
    else:
        if int(data.cardinality()) == -1:
            raise DataError(f"{where}: the tf.data.Dataset has no end; leave repeat() out")
        yield from data.as_numpy_iterator()


def _check_labels(x: Pixels, y: Pixels, where: str) -> Pixels:
    y = _convert_labels(y, where)
    check_shapes(where, (x.shape, x.dtype), (y.shape, y.dtype))
    return y.reshape(-1)


def _convert_labels(y: Pixels, where: str) -> Pixels:
    """Returns class indices: of one-hot rows the position of the one, of whole floats the value."""
    if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "fiub":
        if not (((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all()):
            raise DataError(f"{where}: labels of {y.shape[1]} values each are not one-hot")
        return np.asarray(y.argmax(axis=1))
    if y.dtype.kind == "f" and y.size and np.isfinite(y).all() and (y == np.rint(y)).all():
        return y.astype(np.int64)
    return y


def _describe_type(data: object) -> str:
    if isinstance(data, tuple | list):
        return f"a {type(data).__name__} of {', '.join(type(part).__name__ for part in data)}"
    return f"{type(data).__module__}.{type(data).__name__}".removeprefix("builtins.")
