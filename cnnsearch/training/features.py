"""Features of a frozen body, computed once and cached: the head then trains in seconds.

A frozen body computes the same for an image in every epoch unless the image is changed at random.
Mirroring leaves two versions of each image, and the features of both are cached.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from cnnsearch.architecture.stages import Head
from cnnsearch.data.dataset import Split
from cnnsearch.training.batches import Batch, Indices, Labels, TrainingBatches
from cnnsearch.training.frozen import find_obstacle
from cnnsearch.training.inference import batch_rows, compile_inference
from cnnsearch.training.messages import TrialTask
from cnnsearch.training.phases import Phase
from cnnsearch.utils.atomic_files import atomic_folder, remove_folder

MOST_BYTES = 2 << 30
"""Of all cached features together; the oldest are removed first."""
BATCH = 64
"""Images whose features are computed at a time."""
TRAIN, MIRRORED, VALIDATION = "train", "mirrored", "validation"
Features = Any


@dataclass(frozen=True, kw_only=True)
class FeatureSplit(Split):
    """The features of a split in place of its images.

    Attributes:
        base: the split.
        features: float32, (count, ...).
    """

    base: Split
    features: Features

    def read(self, rows: Indices) -> Any:
        return self.features[rows]

    def labels(self) -> Labels:
        return self.base.labels()


@dataclass(frozen=True)
class FeatureBatches(TrainingBatches):
    """Batches of features: order and mirroring are those of the images' batches.

    Attributes:
        mirrored: features of the mirrored images; None: they are not mirrored.
    """

    mirrored: Features = None

    def _load(self, labels: Labels, order: Indices, epoch: int, step: int) -> Batch:
        rows = order[step * self.size : (step + 1) * self.size]
        found, ones = self.split.read(rows), np.ones(len(rows), np.float32)
        if self.mirrored is not None:
            rng = np.random.default_rng([self.seed, epoch, step])
            flip = self._draw_flips(rows, epoch, rng)
            found[flip] = self.mirrored[rows[flip]]
        return Batch(found, labels[rows], ones, {})


class FrozenBody(NamedTuple):
    """What a frozen phase trains on: the head's model, training batches, validation split."""

    head: Any
    batches: FeatureBatches
    validation: Split


def cache_features(
    task: TrialTask, phase: Phase, model: Any, images: TrainingBatches
) -> FrozenBody | None:
    """Returns the features that a phase trains on; None: it trains on images.

    Args:
        task: its pretrained weights have the folder of the cache.
        phase: to train.
        model: with the pretrained weights, frozen as the phase has it.
        images: the batches of images.
    """
    start = task.pretrained
    if start is None or start.cache is None or find_obstacle(task.recipe, phase.trainable):
        return None
    found = _split_model(model)
    if found is None:
        return None
    body, head, place = found
    validation = task.dataset.validation
    splits = {TRAIN: images.split, VALIDATION: validation}
    if images.flip:
        splits[MIRRORED] = images.split
    size = 4 * int(np.prod(body.output_shape[1:])) * sum(s.count for s in splits.values())
    if size > MOST_BYTES:
        return None
    try:
        folder = _ensure(start.cache / _make_key(task, place), size, body, splits)
        arrays = {name: np.load(folder / f"{name}.npy", "r", allow_pickle=False) for name in splits}
    except OSError:  # a full disk, or the entry was removed meanwhile
        return None
    batches = FeatureBatches(
        **{**vars(images), "split": _as_features(images.split, arrays[TRAIN])},
        mirrored=arrays.get(MIRRORED),
    )
    return FrozenBody(head, batches, _as_features(validation, arrays[VALIDATION]))


def _as_features(split: Split, features: Features) -> FeatureSplit:
    return FeatureSplit(
        split.name, split.count, split.shape, split.directory, base=split, features=features
    )


def _split_model(model: Any) -> tuple[Any, Any, str] | None:
    """Splits a model in front of its first layer that is trained or random.

    Returns:
        The body, the rest, and the place where it is split; None: the rest reads more than one map.
    """
    for layer in model.layers:
        if (layer.trainable and layer.weights) or isinstance(layer, keras.layers.Dropout):
            features = layer.input
            if isinstance(features, list):
                return None
            if isinstance(before := features._keras_history.operation, keras.layers.Flatten):
                features = before.input  # so that heads with and without dropout share features
            try:
                head = keras.Model(features, model.outputs[0])
            except ValueError:
                return None
            place = features._keras_history.operation.name  # a tensor's own is numbered anew
            return keras.Model(model.inputs, features), head, str(place)
    return None


def _make_key(task: TrialTask, place: str) -> str:
    """Returns what features depend on, as a name: weights, body, data, image size, precision."""
    bare = {"head": Head(), "auxiliary": (), "classes": 2}
    body = task.architecture.model_copy(update=bare).fingerprint
    digest = task.pretrained.digest if task.pretrained else ""
    data = (task.dataset.fingerprint, *task.dataset.image, *task.architecture.input)
    facts = (digest, body, place, data, task.recipe.precision, keras.backend.backend())
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _ensure(folder: Path, size: int, body: Any, splits: dict[str, Split]) -> Path:
    """Computes the features unless they are there; other processes wait for them meanwhile."""
    with _lock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            _make_room(folder.parent, size)
            compute = compile_inference(lambda images: body(images, training=False))
            with atomic_folder(folder) as partial:
                for name, split in splits.items():
                    _write(partial / f"{name}.npy", split, compute, body.output_shape[1:], name)
        os.utime(folder)
    return folder


def _write(
    path: Path, split: Split, compute: Callable[[Any], Any], shape: tuple[int, ...], name: str
) -> None:
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (split.count, *shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for rows, valid in batch_rows(split.count, min(BATCH, max(1, split.count))):
            images = split.read(rows)
            images = images[:, :, ::-1] if name == MIRRORED else images
            found = np.asarray(compute(np.ascontiguousarray(images)))[:valid]
            file.write(np.ascontiguousarray(found, "<f4").tobytes())


def _make_room(cache: Path, size: int) -> None:
    """Removes the features that were used the longest ago, until ``size`` more bytes may follow."""
    entries = sorted(_list_entries(cache), key=lambda entry: entry.stat().st_mtime)
    sizes = {entry: sum(file.stat().st_size for file in entry.iterdir()) for entry in entries}
    for entry in entries:
        if sum(sizes.values()) + size <= MOST_BYTES:
            return
        remove_folder(entry)
        del sizes[entry]


def _list_entries(cache: Path) -> Iterator[Path]:
    return (each for each in cache.iterdir() if each.is_dir() and not each.name.startswith("."))


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
