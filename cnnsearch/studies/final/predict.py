"""Predictions of trained models on the test split, made in a separate process.

``python -m cnnsearch.studies.final.predict`` reads pickled tasks from standard input. Only
:func:`predict_test_split` starts it.
"""

import json
import os
import pickle
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnsearch.data.dataset import Split
from cnnsearch.errors import RunError
from cnnsearch.training.inference import (
    compile_inference,
    measure_latency,
    mirror_images,
    predict_batches,
)
from cnnsearch.utils.atomic_files import atomic_file
from cnnsearch.utils.subprocesses import stream_module

FILE = "test.npz"


@dataclass(frozen=True)
class PredictionTask:
    """One model to evaluate: its trial's id and folder, how to rebuild it, and the images."""

    trial: str
    folder: Path
    architecture: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    image: tuple[int, int]
    split: Split
    mirror: bool = False


@dataclass(frozen=True)
class Predictions:
    """Predictions of one model for every test image.

    Attributes:
        probabilities: of classes, float32 (N, classes).
        labels: the true classes, int32 (N,).
        latency: median of many calls in milliseconds, by batch size.
        mirrored: means of each image's probabilities and its mirror image's; None: not computed.
    """

    probabilities: Any
    labels: Any
    latency: dict[str, float]
    mirrored: Any = None

    @property
    def correct(self) -> Any:
        """Whether each prediction is the true class, bool (N,)."""
        return self.probabilities.argmax(axis=1) == self.labels


def load_predictions(folder: Path) -> Predictions | None:
    """Loads the predictions of a trial's model; None: there are none yet."""
    import numpy as np

    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            latency = json.loads(str(file["latency"]))
            mirrored = file.get("mirrored")
            return Predictions(file["probabilities"], file["labels"], latency, mirrored)
    except KeyError:  # written by a version that kept probabilities alone
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: cannot be read: {error}") from None


def predict_test_split(tasks: Sequence[PredictionTask]) -> Iterator[str]:
    """Evaluates each model once; yields a trial's id when its predictions are written."""
    if not tasks:
        return
    lines = stream_module(
        "cnnsearch.studies.final.predict",
        fail=lambda cause: RunError(f"the evaluation failed: {cause}"),
        stdin=pickle.dumps(list(tasks)),
    )
    for line in lines:
        yield json.loads(line)["trial"]


def _predict(task: PredictionTask) -> None:
    import keras
    import numpy as np

    from cnnsearch.architecture.architecture import Architecture
    from cnnsearch.training.checkpoint import BEST, load_weights
    from cnnsearch.training.model import build

    architecture = Architecture.from_json(task.architecture)
    model = build(architecture, mean=task.mean, std=task.std, image=task.image)
    load_weights(model, task.folder / BEST)
    call = compile_inference(
        lambda x: keras.ops.softmax(keras.ops.cast(model(x, training=False), "float32"))
    )
    labels = np.asarray(task.split.labels())
    probabilities = predict_batches(call, task.split.read, len(labels))
    images = {size: task.split.read(np.arange(size) % len(labels)) for size in (1, 32)}
    latency = {f"latency_ms_batch_{n}": measure_latency(call, x) for n, x in images.items()}
    arrays = {"probabilities": probabilities, "labels": labels}
    if task.mirror:
        flipped = predict_batches(
            call, lambda rows: mirror_images(task.split.read(rows)), len(labels)
        )
        arrays["mirrored"] = (probabilities + flipped) / 2
    arrays["latency"] = np.array(json.dumps(latency))
    with atomic_file(task.folder / FILE) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def main() -> None:
    """Evaluates every task and prints a line of JSON for each."""
    from cnnsearch.utils import environment

    environment.configure_backend()
    tasks = pickle.load(sys.stdin.buffer)
    out = os.fdopen(os.dup(1), "w")  # the frameworks' own output must not mix with the answers
    os.dup2(2, 1)
    environment.import_frameworks()
    for task in tasks:
        _predict(task)
        print(json.dumps({"trial": task.trial}), file=out, flush=True)


if __name__ == "__main__":
    main()
