"""The Keras model that exports are made from: preprocessing, network, softmax."""

from pathlib import Path
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.exporters.formats.base import ExportJob


def build_network(job: ExportJob, image: tuple[int | None, int | None]) -> Any:
    """Builds the trained Keras model from uint8 images of that size to logits."""
    from cnnsearch.training.checkpoint import load_weights
    from cnnsearch.training.model import build

    architecture = Architecture.from_json(job.architecture)
    size: Any = image
    model = build(architecture, mean=job.mean, std=job.std, image=size)
    load_weights(model, Path(job.weights))
    return model


def build_serving_model(job: ExportJob) -> Any:
    """Builds the Keras model from uint8 images of ``job.size`` (or any size) to probabilities."""
    import keras

    from cnnsearch.training.model import apply_to_pixels

    logits = build_network(job, (job.size[0], job.size[1]) if job.size else (None, None))
    image = keras.Input(logits.input_shape[1:], job.batch, dtype="uint8", name="image")
    pixels = keras.layers.Rescaling(1.0, dtype="float32", name="pixels")(image)
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    output = softmax(apply_to_pixels(logits, pixels))
    return keras.Model(image, output, name=f"{logits.name}_serving")
