"""Runs an export as a stranger would, with its format's own runtime.

``python -m cnnsearch.exporters.runtimes MODEL IMAGES OUT`` writes the model's outputs for the
images of one .npy file to another, and prints the latency as JSON.

Nothing of cnnsearch is needed but for the few layers that Keras does not have, so that what is
found is in the export and nowhere else.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

BATCH = 128
WARM, TIMED, LONGEST = 5, 50, 5.0
"""Calls before and while it is timed, and seconds after which it has been timed enough."""

Model = Callable[[Any], "npt.NDArray[np.float32]"]


def open_model(path: Path) -> tuple[Model, int | None]:
    """Returns a function from uint8 (N, H, W, C) to class probabilities, float32 (N, classes).

    Args:
        path: a SavedModel's folder, or a .keras, .tflite or .onnx file.

    Returns:
        The function, and the N that it takes; None: any.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    readers = {".keras": _keras, ".tflite": _litert, ".onnx": _onnx}
    return readers.get(path.suffix, _saved_model)(path)


def _saved_model(path: Path) -> tuple[Model, int | None]:
    import tensorflow as tf

    model = tf.saved_model.load(str(path))
    serve = model.signatures["serving_default"]

    def call(images: Any, kept: Any = model) -> Any:  # the model has to outlive this function
        return serve(image=tf.constant(images))["probabilities"].numpy()

    return call, serve.structured_input_signature[1]["image"].shape[0]


def _keras(path: Path) -> tuple[Model, int | None]:
    import keras

    import cnnsearch.training.layers  # noqa: F401  (registers what Keras does not have)

    model = keras.saving.load_model(path, compile=False, safe_mode=True)

    return model.predict_on_batch, model.input_shape[0]


def _litert(path: Path) -> tuple[Model, int | None]:
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(str(path), num_threads=len(os.sched_getaffinity(0)))
    model.allocate_tensors()
    given, answer = model.get_input_details()[0], model.get_output_details()[0]["index"]

    def call(images: Any) -> Any:
        model.set_tensor(given["index"], images)
        model.invoke()
        return model.get_tensor(answer)

    return call, int(given["shape"][0])


def _onnx(path: Path) -> tuple[Model, int | None]:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    size = session.get_inputs()[0].shape[0]

    def call(images: Any) -> Any:
        return session.run(["probabilities"], {"image": images})[0]

    return call, size if isinstance(size, int) else None


def answers(model: Model, size: int | None, images: Any) -> "npt.NDArray[np.float32]":
    """Returns the class probabilities of images, in batches of the size that the model takes."""
    import numpy as np

    step = size or BATCH
    found = [model(batch)[:left] for batch, left in _batches(images, step, size is not None)]
    return np.concatenate(found).astype(np.float32, copy=False)


def _batches(images: Any, step: int, whole: bool) -> Iterator[tuple[Any, int]]:
    """Yields batches and how many of each count: the last is filled up where it has to be."""
    import numpy as np

    for start in range(0, len(images), step):
        rows = np.arange(start, start + step)
        left = min(step, len(images) - start)
        yield images[np.minimum(rows, len(images) - 1) if whole else rows[:left]], left


def latency(model: Model, images: Any) -> float:
    """Returns the median of many calls in milliseconds."""
    seconds: list[float] = []
    since = time.perf_counter()
    while len(seconds) < WARM + TIMED and time.perf_counter() - since < LONGEST:
        began = time.perf_counter()
        model(images)
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds[WARM:] or seconds)


def main(path: str, images: str, out: str) -> None:
    """Answers every image of a file."""
    import numpy as np

    model, size = open_model(Path(path))
    pixels = np.load(images, mmap_mode="r", allow_pickle=False)
    np.save(out, answers(model, size, pixels))
    rows = np.arange(size or 1) % len(pixels)
    print(json.dumps({"latency_ms": latency(model, pixels[rows])}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
