"""From a listed source to decoded splits in the cache, and back from the cache."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.data.dataset import SPLIT_VERSION, Dataset, Split
from cnnsearch.data.materialize import (
    Decoded,
    Progress,
    Shape,
    decode_split,
    describe_copies,
    unreadable_error,
)
from cnnsearch.data.sources import cache
from cnnsearch.data.sources.decode import native_channels
from cnnsearch.data.sources.protocol import Examples, LeftOut, Source, digest
from cnnsearch.data.sources.split import split
from cnnsearch.errors import DataError
from cnnsearch.utils.units import pluralize

_VERSION = "1"  # change it when the same source would give other pixels
_DECODED = ("train", "validation")


@dataclass(frozen=True)
class Options:
    """The arguments of `load` that decide on splits and pixels."""

    image: tuple[int, int]
    channels: int | None
    seed: int
    validation: float
    test: float
    skip_bad_images: bool
    split_version: int = SPLIT_VERSION


def build(
    source: Source, options: Options, root: Path, progress: Progress | None = None
) -> Dataset:
    """Returns the data set, from the cache if this very source has been decoded before."""
    entry = root / "index" / f"{digest(_VERSION, source.witness(), options)}.json"
    record = cache.read_json(entry)
    if not record or not _is_intact(record, root):
        record = _decode_source(source, options, root, progress)
        with cache.writing(root):
            cache.write_json(entry, record)
    return _make_dataset(record, source.name, root)


def _decode_source(
    source: Source, options: Options, root: Path, progress: Progress | None
) -> dict[str, Any]:
    """Decodes train and validation, plans test, and returns the entry for the index."""
    listed = source.open()
    try:
        shares = (options.validation, options.test)
        *learned, test = split(listed, *shares, options.seed, options.split_version)
    except DataError as error:
        raise DataError(f"{source.name}: {error}") from None
    channels = options.channels or listed.channels or native_channels(learned)
    shape = (*options.image, channels)
    with cache.staging(root) as stage:
        decoded = _decode_learned(stage, learned, shape, progress)
        skipped = tuple(bad for part in decoded.values() for bad in part.skipped)
        if skipped and not options.skip_bad_images:
            raise unreadable_error(skipped, sum(map(len, learned)))
        _check_classes_left(decoded, listed.class_names)
        contents = [part.content for part in decoded.values()]
        fingerprint = digest(_VERSION, shape, listed.class_names, *contents, test.stamp())
        counts = {name: len(part.labels) for name, part in decoded.items()}
        mean, std = compute_moments(stage / "train" / "images.npy", counts["train"], shape)
        known, held = set(decoded["train"].digests), decoded["validation"].digests
        copies = describe_copies(sum(each in known for each in held), len(held), "validation")
        record = {
            "class_names": listed.class_names,
            "shape": shape,
            "counts": {**counts, "test": len(test)},
            "mean": mean,
            "std": std,
            "fingerprint": fingerprint,
            "flip": listed.flip,
            "skipped": skipped,
            "warnings": [*_describe_left_out(listed.left_out), *copies],
            "split_version": options.split_version,
            "skip_bad_images": options.skip_bad_images,
            "test": _plan_test(stage, test),
        }
        _publish(stage, root / fingerprint, record, test)
    return record


def _decode_learned(
    stage: Path, learned: list[Examples], shape: Shape, progress: Progress | None
) -> dict[str, Decoded]:
    """Decodes train and validation; progress is reported every 100 images and at the end."""
    total, done = sum(map(len, learned)), 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress and (done % 100 == 0 or done == total):
            progress(done, total)

    parts = zip(_DECODED, learned, strict=True)
    return {name: decode_split(stage / name, part, shape, step) for name, part in parts}


def _publish(stage: Path, target: Path, record: Mapping[str, Any], test: Examples) -> None:
    """Moves the decoded splits to their place; those of an intact twin stay, with a new plan."""
    whole = _has_arrays(record, target)
    if whole:
        _plan_test(target, test)
    cache.publish(stage, target, replace=not whole)


def _plan_test(directory: Path, test: Examples) -> str:
    """Writes how to read the test split when it is first needed; returns its name."""
    plan = test.plan()
    name = f"test-{digest(*plan.items())}"
    cache.write_json(directory / f"{name}.json", plan)
    return name


def compute_moments(
    path: Path, count: int, shape: Shape
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns the exact mean and standard deviation per channel of pixels scaled to [0, 1].

    From integer histograms, so neither order nor chunking changes a bit of the result.

    Args:
        path: An .npy file of uint8 images.
        count: Number of images.
        shape: Of each image.
    """
    channels = shape[-1]
    histogram = np.zeros((channels, 256), dtype=np.int64)
    step = max(1, (1 << 22) // (shape[0] * shape[1] * channels))  # 4 MiB at a time
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


def _is_intact(record: Mapping[str, Any], root: Path) -> bool:
    """Whether a record is readable, the arrays have its shapes and the test split has a plan."""
    try:
        directory = root / record["fingerprint"]
        test = directory / record["test"]
        planned = test.with_name(f"{test.name}.json").is_file()
        return planned and _has_arrays(record, directory) and bool(_make_dataset(record, "", root))
    except (KeyError, TypeError):
        return False


def _has_arrays(record: Mapping[str, Any], directory: Path) -> bool:
    counts, shape = record["counts"], tuple(record["shape"])
    return all(cache.is_whole(directory / name, counts[name], shape) for name in _DECODED)


def _make_dataset(record: Mapping[str, Any], name: str, root: Path) -> Dataset:
    directory, shape, counts = root / record["fingerprint"], record["shape"], record["counts"]
    height, width, channels = shape
    plan = directory / f"{record['test']}.json"
    train, validation, test = (
        Split(part, counts[part], (height, width, channels), directory / place)
        for part, place in {**{n: n for n in _DECODED}, "test": record["test"]}.items()
    )
    return Dataset(
        source=name,
        class_names=tuple(record["class_names"]),
        image=(height, width),
        channels=channels,
        train=train,
        validation=validation,
        test=replace(test, plan=plan, skip_bad_images=record["skip_bad_images"]),
        mean=tuple(record["mean"]),
        std=tuple(record["std"]),
        fingerprint=record["fingerprint"],
        flip=record["flip"],
        skipped=tuple(record["skipped"]),
        warnings=tuple(record["warnings"]),
        split_version=record["split_version"],
    )


def _describe_left_out(files: Sequence[LeftOut]) -> list[str]:
    if not files:
        return []
    more = f" and {len(files) - 3:,} more" if len(files) > 3 else ""
    named = ", ".join(map(str, files[:3])) + more
    return [f"{pluralize(len(files), 'file')} left out: {named}. cnnsearch data lists them."]


def _check_classes_left(decoded: Mapping[str, Decoded], class_names: tuple[str, ...]) -> None:
    left = set(decoded["train"].labels)
    for index, name in enumerate(class_names):
        if index not in left:
            raise DataError(f"class {name!r} has no training image that can be read")
    if not decoded["validation"].labels:
        raise DataError("no validation image can be read")
