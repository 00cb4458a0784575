"""From a listed source to decoded splits in the cache, and back from the cache."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.data.sources import cache, folder
from cnnsearch.data.sources.decode import Decoded, decode_all, native_channels
from cnnsearch.data.sources.protocol import Examples, Source, digest
from cnnsearch.data.sources.split import split
from cnnsearch.errors import DataError

Progress = Callable[[int, int], None]
_VERSION = "1"  # change it when the same source would give other pixels


@dataclass(frozen=True)
class Options:
    """What `load` was asked for, as far as it decides on the pixels."""

    image: tuple[int, int]
    channels: int | None
    seed: int
    validation: float
    test: float
    skip_bad_images: bool


@dataclass(frozen=True)
class Written:
    """What decoding one split gave."""

    labels: list[int]
    content: str
    skipped: tuple[str, ...]


def build(
    source: Source, options: Options, root: Path, progress: Progress | None = None
) -> Dataset:
    """Returns the data set, from the cache if this very source has been decoded before."""
    entry = root / "index" / f"{digest(_VERSION, source.witness(), options)}.json"
    record = cache.read_json(entry)
    known = record and _recall(record, source.name, root)
    if known:
        return known
    record = _materialise(source, options, root, progress)
    with cache.writing(root):
        cache.write_json(entry, record)
    return _dataset(record, source.name, root)


def ensure(part: Split) -> tuple[str, ...]:
    """Decodes a split that has not been asked for before; returns what could not be read."""
    if not part.materialised:
        if part.plan is None:
            raise DataError(f"{part.directory} is gone from the cache: load the data set again")
        with cache.staging(part.directory.parent) as stage:
            _write_kept(stage, reopen(part.plan), part.shape, part.skip_bad_images)
            cache.publish(stage, part.directory, replace=False)
    if part.plan is None:
        return ()
    skipped = tuple((cache.read_json(part.directory / "skipped.json") or {}).get("skipped", ()))
    if skipped and not part.skip_bad_images:
        raise _bad(skipped, part.count)
    return skipped


def listed_labels(plan: Path) -> "npt.NDArray[np.int32]":
    """Returns the labels of a split from its listing."""
    return np.asarray(reopen(plan).labels, dtype=np.int32)


def reopen(path: Path) -> Examples:
    """Lists again what a plan describes."""
    plan = cache.read_json(path)
    if plan is None:
        raise DataError(f"{path} is gone from the cache: load the data set again")
    from cnnsearch.data.sources import archive, arrays, cached_arrays, npz, tfds

    openers: dict[str, Callable[[Mapping[str, Any]], Examples]] = {
        "files": folder.reopen,
        "archive": archive.reopen,
        "digits": arrays.reopen_digits,
        "npz": partial(npz.reopen, folder=path.parent),
        "stored": cached_arrays.reopen,
        "tfds": tfds.reopen,
    }
    return openers[plan["kind"]](plan)


def _materialise(
    source: Source, options: Options, root: Path, progress: Progress | None
) -> dict[str, Any]:
    """Decodes train and validation, plans test, and returns the entry for the index."""
    listed = source.open()
    try:
        train, validation, test = split(listed, options.validation, options.test, options.seed)
    except DataError as error:
        raise DataError(f"{source.name}: {error}") from None
    native = options.channels or listed.channels or native_channels((train, validation))
    shape = (*options.image, native)
    report = _Progress(progress, len(train) + len(validation))
    with cache.staging(root) as stage:
        parts = {"train": train, "validation": validation}
        written = {name: _write(stage / name, part, shape, report) for name, part in parts.items()}
        skipped = tuple(bad for part in written.values() for bad in part.skipped)
        if skipped and not options.skip_bad_images:
            raise _bad(skipped, len(train) + len(validation))
        _check_left(written, listed.class_names)
        contents = [written[name].content for name in parts]
        fingerprint = digest(_VERSION, shape, listed.class_names, *contents, test.stamp())
        mean, std = moments(stage / "train" / "images.npy", len(written["train"].labels), shape)
        record = {
            "class_names": listed.class_names,
            "shape": shape,
            "counts": {**{name: len(w.labels) for name, w in written.items()}, "test": len(test)},
            "mean": mean,
            "std": std,
            "fingerprint": fingerprint,
            "flip": listed.flip,
            "skipped": skipped,
            "skip_bad_images": options.skip_bad_images,
            "test": _plan_test(stage, test, shape),
        }
        target = root / fingerprint
        whole = _arrays_whole(record, target)
        if whole:
            _plan_test(target, test, shape)
        cache.publish(stage, target, replace=not whole)
    return record


def _plan_test(directory: Path, test: Examples, shape: tuple[int, int, int]) -> str:
    """Says how to read the test split later; one that lives in memory is written at once."""
    plan = test.plan()
    if plan is None:
        name = "test"
        if not (directory / name).exists():
            with cache.staging(directory) as stage:
                _write_kept(stage, test, shape, False)
                cache.publish(stage, directory / name, replace=False)
        return name
    name = f"test-{digest(*plan.items())}"
    cache.write_json(directory / f"{name}.json", plan)
    return name


def _write_kept(
    directory: Path, examples: Examples, shape: tuple[int, int, int], skip: bool
) -> None:
    written = _write(directory, examples, shape, _Progress(None, len(examples)))
    if written.skipped and not skip:
        raise _bad(written.skipped, len(examples))
    cache.write_json(directory / "skipped.json", {"skipped": written.skipped})


def _write(
    directory: Path, examples: Examples, shape: tuple[int, int, int], report: "_Progress"
) -> Written:
    """Decodes examples into images.npy and labels.npy of a directory."""
    directory.mkdir(exist_ok=True)
    labels, contents, skipped = [], [], []
    with cache.ArrayFile(directory / "images.npy", shape) as file:
        for key, label, decoded in _decoded(examples, shape):
            report.step()
            if decoded.pixels is None:
                skipped.append(f"{folder.shown(key)} ({decoded.reason})")
                continue
            file.append(decoded.pixels)
            labels.append(label)
            contents.append((key, label, decoded.content))
    cache.write_labels(directory / "labels.npy", labels)
    return Written(labels, digest(*contents), tuple(skipped))


def _decoded(examples: Examples, shape: tuple[int, int, int]) -> Iterator[tuple[str, int, Decoded]]:
    decoded = decode_all(examples.items(), shape[:2], shape[2])
    return zip(examples.keys, examples.labels, decoded, strict=True)


def moments(
    path: Path, count: int, shape: tuple[int, int, int]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns mean and standard deviation per channel of pixels scaled to [0, 1], exactly.

    From histograms, so neither order nor chunking changes a bit of the result; 4 MiB at a time.

    Args:
        path: An .npy file of uint8 images.
        count: How many they are.
        shape: Of each.
    """
    channels = shape[-1]
    histogram = np.zeros((channels, 256), dtype=np.int64)
    step = max(1, (1 << 22) // (shape[0] * shape[1] * channels))
    for start in range(0, count, step):
        rows = np.arange(start, min(start + step, count))
        chunk = cache.read_rows(path, rows).reshape(-1, channels)
        for channel in range(channels):
            histogram[channel] += np.bincount(chunk[:, channel], minlength=256)
    level = np.arange(256) / 255.0
    share = histogram / histogram.sum(axis=1, keepdims=True)
    mean = share @ level
    spread = np.sqrt(np.maximum(share @ level**2 - mean**2, 0.0))
    return tuple(map(float, mean)), tuple(float(max(s, 1 / 255)) for s in spread)


def _recall(record: Mapping[str, Any], name: str, root: Path) -> Dataset | None:
    try:
        sound = _sound(record, root / record["fingerprint"])
        return _dataset(record, name, root) if sound else None
    except (KeyError, TypeError):
        return None


def _sound(record: Mapping[str, Any], directory: Path) -> bool:
    test = directory / record["test"]
    planned = test.with_name(f"{test.name}.json").is_file()
    return _arrays_whole(record, directory) and (planned or test.is_dir())


def _arrays_whole(record: Mapping[str, Any], directory: Path) -> bool:
    height, width, channels = record["shape"]
    return all(
        cache.is_whole(directory / name, record["counts"][name], (height, width, channels))
        for name in ("train", "validation")
    )


def _dataset(record: Mapping[str, Any], name: str, root: Path) -> Dataset:
    height, width, channels = record["shape"]
    directory = root / record["fingerprint"]
    counts = record["counts"]
    plan = directory / f"{record['test']}.json"
    parts = {
        part: Split(part, counts[part], (height, width, channels), directory / part)
        for part in ("train", "validation")
    }
    test = Split(
        "test",
        counts["test"],
        (height, width, channels),
        directory / record["test"],
        None if record["test"] == "test" else plan,
        record["skip_bad_images"],
    )
    return Dataset(
        source=name,
        class_names=tuple(record["class_names"]),
        image=(height, width),
        channels=channels,
        test=test,
        mean=tuple(record["mean"]),
        std=tuple(record["std"]),
        fingerprint=record["fingerprint"],
        flip=record["flip"],
        skipped=tuple(record["skipped"]),
        **parts,
    )


def _check_left(written: Mapping[str, Written], class_names: tuple[str, ...]) -> None:
    left = set(written["train"].labels)
    for index, name in enumerate(class_names):
        if index not in left:
            raise DataError(f"class {name!r} has no training image that can be read")
    if not written["validation"].labels:
        raise DataError("no validation image can be read")


def _bad(skipped: tuple[str, ...], total: int) -> DataError:
    more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return DataError(
        f"{len(skipped)} of {total} images cannot be read: {', '.join(skipped[:3])}{more}; "
        "mend or remove them, or leave them out with --skip-bad-images (skip_bad_images=True)"
    )


class _Progress:
    """Counts images for a callback that is called every 100 and at the end."""

    def __init__(self, callback: Progress | None, total: int) -> None:
        self._callback = callback
        self._total = total
        self._done = 0

    def step(self) -> None:
        self._done += 1
        if self._callback and (self._done % 100 == 0 or self._done == self._total):
            self._callback(self._done, self._total)
