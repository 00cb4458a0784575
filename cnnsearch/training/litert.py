"""Converts Keras models to LiteRT (formerly TensorFlow Lite), and runs what it converted."""

import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from cnnsearch.training.dead_maps import widen_dead_maps
from cnnsearch.training.model import apply_to_pixels

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Calibration = Callable[[], Iterable[list[Any]]]
"""Yields batches of training images, float32 (batch, height, width, channels), one list each."""


def convert(
    model: Any,
    size: tuple[int, int],
    shape: tuple[int, int, int, int],
    quantize: str = "float32",
    calibration: Calibration | None = None,
) -> bytes:
    """Returns the LiteRT model from uint8 images to class probabilities.

    Args:
        model: Keras model of :func:`cnnsearch.training.model.build`, on TensorFlow.
        size: height and width that the network computes with.
        shape: batch, height, width and channels of the images that LiteRT is given.
        quantize: ``float32``, ``float16``, ``dynamic`` or ``int8``.
        calibration: for ``int8``: images on which the range of activations is measured.
    """
    import tensorflow as tf

    # int8 reads floats here; the converter then makes its input uint8, see _quantize.
    dtype = tf.float32 if quantize == "int8" else tf.uint8
    function = tf.function(
        lambda image: _predict(model, image, size, quantize),
        autograph=False,
        input_signature=[tf.TensorSpec(shape, dtype, name="image")],
    )
    # Without an object that owns the function, the graph is frozen in memory; with one, it is
    # written as a SavedModel and read again, which takes five times as long.
    tf.get_logger().setLevel("ERROR")  # it is called deprecated
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    _quantize(converter, quantize, calibration)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        content: bytes = converter.convert()
    return widen_dead_maps(content) if quantize == "int8" else content


def _predict(model: Any, image: Any, size: tuple[int, int], quantize: str) -> dict[str, Any]:
    """Computes probabilities with operators that LiteRT has.

    It has none for antialiased resizing: as both sizes are known, that is two products with
    constant matrices.
    """
    import tensorflow as tf

    pixels = tf.cast(image, tf.float32)
    if quantize == "int8":  # a scale of 1: the quantized pixels are the uint8 values themselves
        pixels = tf.quantization.fake_quant_with_min_max_args(pixels, 0.0, 255.0)
    given = tuple(pixels.shape[1:3])
    if given != size:
        rows, columns = (
            tf.constant(resize_matrix(*pair)) for pair in zip(given, size, strict=True)
        )
        pixels = tf.einsum("nhwc,yh->nywc", pixels, rows)
        pixels = tf.einsum("nywc,xw->nyxc", pixels, columns)
    return {"probabilities": tf.nn.softmax(apply_to_pixels(model, pixels))}


def _quantize(converter: Any, quantize: str, calibration: Calibration | None) -> None:
    import tensorflow as tf

    if quantize == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        converter.representative_dataset = calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8


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
