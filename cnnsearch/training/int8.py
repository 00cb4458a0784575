"""Predictions of a training's best epoch in 8 bits, as its LiteRT export would make them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnsearch.data.dataset import Split
from cnnsearch.training import checkpoint
from cnnsearch.training.calibration import choose_rows
from cnnsearch.training.checkpoint import BEST, read_weights
from cnnsearch.training.folding import fold_weights
from cnnsearch.training.inference import predict_batches
from cnnsearch.training.litert import convert
from cnnsearch.training.messages import TrialTask
from cnnsearch.training.model import build
from cnnsearch.utils.hardware import get_thread_limit

BATCH = 32
"""Images a call: the converter then calibrates, and the interpreter evaluates, in batches."""


def predict_in_int8(task: TrialTask) -> npt.NDArray[np.intp]:
    """Returns the predicted class of each image of the validation split.

    The best epoch's weights are quantized as in an export, with the same training images.

    Raises:
        RunError: there is no checkpoint of a best epoch.
    """
    model = _build_deployed(task)
    height, width, channels = task.architecture.input
    shape = (BATCH, *task.dataset.image, channels)
    train = task.dataset.train
    content = convert(model, (height, width), shape, "int8", lambda: _read_batches(train))
    validation = task.dataset.validation
    probabilities = predict_batches(
        _open(content, get_thread_limit()), validation.read, validation.count, size=BATCH
    )
    predicted: npt.NDArray[np.intp] = probabilities.argmax(axis=1)
    return predicted


def _build_deployed(task: TrialTask) -> Any:
    """Builds the network of the best epoch in float32, its training branches folded."""
    architecture, path = task.architecture, task.directory / BEST
    folded, weights = architecture.fold(), read_weights(path)
    if folded != architecture:
        weights = fold_weights(architecture, folded, weights)
    pixels = task.pretrained or task.dataset
    model = build(folded, mean=pixels.mean, std=pixels.std)
    checkpoint.restore(model.weights, [weights[each.path] for each in model.weights], path)
    return model


def _read_batches(split: Split) -> Iterator[list[Any]]:
    rows = choose_rows(split.count)
    for start in range(0, len(rows), BATCH):
        yield [split.read(np.resize(rows[start:], BATCH)).astype(np.float32)]


def _open(content: bytes, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_content=content, num_threads=threads)
    model.allocate_tensors()
    image, output = model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]

    def predict(images: Any) -> Any:
        model.set_tensor(image, images)
        model.invoke()
        return model.get_tensor(output)

    return predict
