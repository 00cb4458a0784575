"""Makes what needs Keras or TensorFlow, in a process of its own.

``python -m cnnsearch.exporters.keras_export JOB`` reads a job that ``exporters.export`` wrote as
JSON. What the converters print, and what they hold of memory, ends with the process.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import CnnsearchError
from cnnsearch.exporters.formats import Target
from cnnsearch.exporters.job import Job
from cnnsearch.exporters.runtimes import BATCH, answers, latency
from cnnsearch.utils import environment


def network(job: Job, image: tuple[int | None, int | None]) -> Any:
    """Builds the model from uint8 images of that size to logits, with its trained weights."""
    from cnnsearch.training.checkpoint import load_weights
    from cnnsearch.training.model import build

    architecture = Architecture.from_json(job.architecture)
    size: Any = image
    model = build(architecture, mean=job.mean, std=job.std, image=size)
    load_weights(model, Path(job.weights))
    return model


def forward(model: Any, pixels: Any) -> Any:
    """Runs a model on float pixels, which its uint8 input would cut to whole numbers.

    Resizing then rounds nothing; of uint8 images, it rounds in some of Keras's backends.
    """
    import keras

    first = model.layers[1]
    return keras.Model(first.output, model.outputs[0])(first(pixels), training=False)


def _probabilities(job: Job) -> Any:
    """The Keras model that the formats that resize are made of."""
    import keras

    logits = network(job, (job.size[0], job.size[1]) if job.size else (None, None))
    image = keras.Input(logits.input_shape[1:], job.batch, dtype="uint8", name="image")
    pixels = keras.layers.Rescaling(1.0, dtype="float32", name="pixels")(image)
    found = forward(logits, pixels)
    answer = keras.layers.Softmax(dtype="float32", name="probabilities")(found)
    return keras.Model(image, answer, name=f"{logits.name}_serving")


def _answer(job: Job) -> None:
    """Writes what the Keras model itself says, in the words of its backend."""
    import keras

    model = network(job, (job.image[0], job.image[1]))

    def call(images: Any) -> Any:
        return np.asarray(keras.ops.convert_to_numpy(run(images)))

    def compute(images: Any) -> Any:
        return keras.ops.softmax(forward(model, keras.ops.cast(images, "float32")))

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        run = tf.function(compute, autograph=False)
    else:
        import jax

        run = jax.jit(compute)
    pixels = np.load(job.images or "", mmap_mode="r", allow_pickle=False)
    size = min(BATCH, len(pixels))
    found = answers(call, size, pixels)
    np.savez(job.answers, probabilities=found, latency=latency(call, pixels[:1]))


def save_keras(job: Job, path: Path) -> None:
    """Writes a .keras file."""
    _probabilities(job).save(path)


def save_saved_model(job: Job, path: Path) -> None:
    """Writes a SavedModel; an empty batch gets an empty answer."""
    import keras
    import tensorflow as tf

    serving = _probabilities(job)
    classes = serving.output_shape[-1]
    signature = tf.TensorSpec(serving.input_shape, tf.uint8, name="image")

    def predict(image: Any) -> dict[str, Any]:
        if job.batch is not None:
            return {"probabilities": serving(image, training=False)}
        found = tf.cond(
            tf.equal(tf.shape(image)[0], 0),
            lambda: tf.zeros((0, classes)),
            lambda: serving(image, training=False),
        )
        return {"probabilities": tf.ensure_shape(found, (None, classes))}

    archive = keras.export.ExportArchive()
    archive.track(serving)
    archive.add_endpoint("serving_default", predict, input_signature=[signature])
    archive.write_out(str(path), verbose=False)


def save_litert(job: Job, path: Path, quantize: str) -> None:
    """Writes a LiteRT model for one size of images, ``batch`` (or one) at once.

    The sizes being known, antialiased resizing is two products with constant matrices: LiteRT has
    no operator for it.
    """
    import tensorflow as tf

    height, width, channels = Architecture.from_json(job.architecture).input
    model = network(job, (height, width))
    given = tuple(job.size or job.image)
    shrink = [tf.constant(shrinking(*pair)) for pair in zip(given, (height, width), strict=True)]

    def predict(image: Any) -> dict[str, Any]:
        pixels = tf.cast(image, tf.float32)
        if quantize == "int8":  # so that the pixels are the whole numbers themselves
            pixels = tf.quantization.fake_quant_with_min_max_args(pixels, 0.0, 255.0)
        if given != (height, width):
            pixels = tf.einsum("nhwc,yh->nywc", pixels, shrink[0])
            pixels = tf.einsum("nywc,xw->nyxc", pixels, shrink[1])
        return {"probabilities": tf.nn.softmax(forward(model, pixels))}

    kind = tf.float32 if quantize == "int8" else tf.uint8
    shape = (job.batch or 1, *given, channels)
    function = tf.function(predict, input_signature=[tf.TensorSpec(shape, kind, name="image")])
    kept = tf.Module()
    kept.function, kept.variables_ = function, [v.value for v in model.variables]
    concrete = function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], kept)
    _quantize(converter, quantize, job)
    path.write_bytes(converter.convert())


def _quantize(converter: Any, quantize: str, job: Job) -> None:
    import tensorflow as tf

    if quantize == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        pixels = np.load(job.calibration, mmap_mode="r", allow_pickle=False)
        rows = np.arange(job.batch or 1)

        def examples() -> Any:
            for start in range(len(pixels)):
                batch = pixels[(start + rows) % len(pixels)]
                yield [batch.astype(np.float32)]

        converter.representative_dataset = examples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8


def shrinking(size: int, to: int) -> Any:
    """Returns the (to, size) matrix of antialiased linear resizing along one side.

    It is that of ``tf.image.resize(antialias=True)`` and of Pillow's ``BILINEAR``: a triangle as
    wide as the pixels that become one.
    """
    ratio = size / to
    reach = max(ratio, 1.0)
    centres = (np.arange(to)[:, None] + 0.5) * ratio
    away = np.abs(np.arange(size)[None, :] + 0.5 - centres) / reach
    weights = np.maximum(0.0, 1.0 - away)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def make(job: Job) -> None:
    """Writes what the job asks for."""
    if job.images is not None:
        _answer(job)
    for format_, quantize in job.targets:
        target = Target(format_, quantize)
        path = Path(job.folder) / target.file
        if target.format == "savedmodel":
            save_saved_model(job, path)
        elif target.format == "keras":
            save_keras(job, path)
        else:
            save_litert(job, path, quantize)


def main(path: str) -> int:
    """Does a job; what is wrong is the last line on standard error."""
    environment.settle_backend()
    environment.import_frameworks()
    try:
        make(Job(**json.loads(Path(path).read_text("utf-8"))))
    except CnnsearchError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
