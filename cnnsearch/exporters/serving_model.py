"""The Keras model that exports are made from: preprocessing, network, softmax."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.exporters.formats.base import ExportJob

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def build_network(job: ExportJob, image: tuple[int | None, int | None]) -> Any:
    """Builds the trained Keras model from uint8 images of that size to logits."""
    from cnnsearch.training.checkpoint import load_weights
    from cnnsearch.training.model import build

    architecture = Architecture.from_json(job.architecture)
    size: Any = image
    model = build(architecture, mean=job.mean, std=job.std, image=size)
    load_weights(model, Path(job.weights))
    return model


def apply_to_pixels(model: Any, pixels: Any) -> Any:
    """Runs a network on float pixels, which its uint8 input would truncate.

    Resizing then rounds nothing; of uint8 images, some of Keras's backends round the result.
    """
    import keras

    first = model.layers[1]
    return keras.Model(first.output, model.outputs[0])(first(pixels), training=False)


def build_serving_model(job: ExportJob) -> Any:
    """Builds the Keras model from uint8 images of ``job.size`` (or any size) to probabilities."""
    import keras

    logits = build_network(job, (job.size[0], job.size[1]) if job.size else (None, None))
    image = keras.Input(logits.input_shape[1:], job.batch, dtype="uint8", name="image")
    pixels = keras.layers.Rescaling(1.0, dtype="float32", name="pixels")(image)
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    output = softmax(apply_to_pixels(logits, pixels))
    return keras.Model(image, output, name=f"{logits.name}_serving")


def resize_matrix(size: int, to: int) -> "npt.NDArray[np.float32]":
    """Returns the (to, size) matrix of antialiased linear resizing along one side.

    It is that of ``tf.image.resize(antialias=True)`` and of Pillow's ``BILINEAR``: a triangle as
    wide as the input pixels that one output pixel covers.
    """
    import numpy as np

    ratio = size / to
    centres = (np.arange(to)[:, None] + 0.5) * ratio
    distance = np.abs(np.arange(size)[None, :] + 0.5 - centres) / max(ratio, 1.0)
    weights = np.maximum(0.0, 1.0 - distance)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
