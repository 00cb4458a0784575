"""What finally trained models say of test images, in a process of its own.

``python -m cnnsearch.final.predicting`` reads its tasks from standard input; it is started by
:func:`predict` alone, with what this very program wrote.
"""

import json
import os
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnsearch.data.dataset import Split
from cnnsearch.errors import RunError

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


def predict(tasks: Sequence[Task]) -> dict[str, dict[str, float]]:
    """Asks each model; returns latencies by trial, in milliseconds.

    Class probabilities, float32 (N, classes), lie in each trial's ``test.npz`` afterwards.

    Raises:
        RunError: the process failed; says how.
    """
    if not tasks:
        return {}
    command = [sys.executable, "-m", "cnnsearch.final.predicting"]
    done = subprocess.run(
        command, input=pickle.dumps(list(tasks)), capture_output=True, check=False
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise RunError(f"the evaluation failed: {(lines or ['no message'])[-1]}")
    answers = [json.loads(line) for line in done.stdout.decode().splitlines() if line]
    return {answer.pop("trial"): answer for answer in answers}


def _answer(task: Task) -> dict[str, Any]:
    from cnnsearch.architecture import Architecture
    from cnnsearch.checkpoint import BEST, load_weights
    from cnnsearch.model import build

    architecture = Architecture.from_json(task.architecture)
    model = build(architecture, mean=task.mean, std=task.std, image=task.image)
    load_weights(model, task.folder / BEST)
    call = _compiled(model)
    _write(task.folder / FILE, _probabilities(call, task.split))
    import numpy as np

    images = task.split.read(np.arange(32) % task.split.count)
    return {
        "trial": task.trial,
        "latency_ms_batch_1": _latency(call, images[:1]),
        "latency_ms_batch_32": _latency(call, images),
    }


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


def _probabilities(call: Any, split: Split) -> Any:
    import numpy as np

    found = []
    for start in range(0, split.count, BATCH):
        rows = np.minimum(np.arange(start, start + BATCH), split.count - 1)
        found.append(np.asarray(call(split.read(rows)))[: split.count - start])
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


def _write(path: Path, probabilities: Any) -> None:
    import numpy as np

    beside = path.with_name(f"{path.name}.tmp")
    with beside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, probabilities=probabilities)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def main() -> None:
    """Answers every task with a line of JSON."""
    from cnnsearch import machine

    machine.settle_backend()
    tasks = pickle.load(sys.stdin.buffer)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    machine.import_frameworks()
    for task in tasks:
        print(json.dumps(_answer(task)), file=out, flush=True)


if __name__ == "__main__":
    main()
