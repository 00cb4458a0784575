"""What finally trained models say of test images, in a process of its own.

``python -m cnnsearch.studies.final.predict`` reads its tasks from standard input; it is started by
:func:`predict` alone, with what this very program wrote.
"""

import json
import os
import pickle
import statistics
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnsearch.data.dataset import Split
from cnnsearch.errors import RunError
from cnnsearch.utils.atomic_files import atomic_file
from cnnsearch.utils.subprocesses import stream_module

BATCH = 128
WARM, TIMED = 5, 50
FILE = "test.npz"


@dataclass(frozen=True)
class Task:
    """One model to be asked.

    Attributes:
        trial: id.
        folder: of the trial; ``test.npz`` is written there.
        architecture: as JSON.
        mean: per channel, of the pixels the model was trained on.
        std: per channel, likewise.
        image: height and width of the images.
        split: the images.
    """

    trial: str
    folder: Path
    architecture: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    image: tuple[int, int]
    split: Split


@dataclass(frozen=True)
class Answers:
    """What one model said of every test image.

    Attributes:
        probabilities: of classes, float32 (N, classes).
        labels: the true classes, int32 (N,).
        latency: median of many calls in milliseconds, by batch.
    """

    probabilities: Any
    labels: Any
    latency: dict[str, float]

    @property
    def right(self) -> Any:
        """Whether each answer is the true class, bool (N,)."""
        return self.probabilities.argmax(axis=1) == self.labels


def answers(folder: Path) -> Answers | None:
    """Returns what a trial's model has answered; None: it has not been asked.

    Raises:
        RunError: the file cannot be read.
    """
    import numpy as np

    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return Answers(file["probabilities"], file["labels"], json.loads(str(file["latency"])))
    except KeyError:  # of a cnnsearch that wrote probabilities alone
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: cannot be read: {error}") from None


def predict(tasks: Sequence[Task]) -> Iterator[str]:
    """Asks each model once; yields a trial's id when its answers lie in its folder.

    Raises:
        RunError: the process failed; says how.
    """
    if not tasks:
        return
    lines = stream_module(
        "cnnsearch.studies.final.predict",
        fail=lambda why: RunError(f"the evaluation failed: {why}"),
        stdin=pickle.dumps(list(tasks)),
    )
    for line in lines:
        yield json.loads(line)["trial"]


def _answer(task: Task) -> dict[str, Any]:
    import numpy as np

    from cnnsearch.architecture.architecture import Architecture
    from cnnsearch.training.checkpoint import BEST, load_weights
    from cnnsearch.training.model import build

    architecture = Architecture.from_json(task.architecture)
    model = build(architecture, mean=task.mean, std=task.std, image=task.image)
    load_weights(model, task.folder / BEST)
    call, labels = _compiled(model), task.split.labels()
    found = _probabilities(call, task.split, len(labels))
    images = task.split.read(np.arange(32) % len(labels))
    latency = {
        "latency_ms_batch_1": _latency(call, images[:1]),
        "latency_ms_batch_32": _latency(call, images),
    }
    _write(task.folder / FILE, found, labels, latency)
    return {"trial": task.trial, **latency}


def _compiled(model: Any) -> Any:
    """Returns a function from uint8 images to class probabilities, compiled for the backend."""
    import keras

    def call(images: Any) -> Any:
        return keras.ops.softmax(keras.ops.cast(model(images, training=False), "float32"))

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(call, autograph=False)
    import jax

    return jax.jit(call)


def _probabilities(call: Any, split: Split, count: int) -> Any:
    """Asks about every image, in batches of one shape; ``count``: as read, not as listed."""
    import numpy as np

    found = []
    for start in range(0, count, BATCH):
        rows = np.minimum(np.arange(start, start + BATCH), count - 1)
        found.append(np.asarray(call(split.read(rows)))[: count - start])
    return np.concatenate(found)


def _latency(call: Any, images: Any) -> float:
    """Returns the median of many calls, in milliseconds."""
    import numpy as np

    seconds = []
    for _ in range(WARM + TIMED):
        since = time.perf_counter()
        np.asarray(call(images))
        seconds.append(time.perf_counter() - since)
    return 1000 * statistics.median(seconds[WARM:])


def _write(path: Path, probabilities: Any, labels: Any, latency: dict[str, float]) -> None:
    import numpy as np

    with atomic_file(path) as file:
        np.savez_compressed(
            file,
            allow_pickle=False,
            probabilities=probabilities,
            labels=np.asarray(labels),
            latency=np.array(json.dumps(latency)),
        )


def main() -> None:
    """Answers every task with a line of JSON."""
    from cnnsearch.utils import environment

    environment.settle_backend()
    tasks = pickle.load(sys.stdin.buffer)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    environment.import_frameworks()
    for task in tasks:
        print(json.dumps(_answer(task)), file=out, flush=True)


if __name__ == "__main__":
    main()
