"""LiteRT (formerly TensorFlow Lite): for phones, boards and microcontrollers."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from cnnsearch.exporters.formats.base import ExportFormat, ExportJob, LoadedModel, Requirement


class LiteRT(ExportFormat):
    """One ``.tflite`` file for one image size; ``batch`` images (or one) per call."""

    name: ClassVar[str] = "litert"
    title: ClassVar[str] = "LiteRT"
    summary: ClassVar[str] = "phones and boards"
    suffix: ClassVar[str] = ".tflite"
    runtime: ClassVar[Requirement] = Requirement("ai_edge_litert", "cnnsearch[litert]")
    writers: ClassVar[tuple[Requirement, ...]] = (Requirement("tensorflow"),)
    backend: ClassVar[str] = "tensorflow"
    quantizations: ClassVar[tuple[str, ...]] = ("float32", "float16", "dynamic", "int8")
    startup: ClassVar[float] = 0.3

    def make(self, job: ExportJob, path: Path, quantize: str) -> None:
        import tensorflow as tf

        from cnnsearch.architecture.architecture import Architecture
        from cnnsearch.exporters.serving_model import build_network

        height, width, channels = Architecture.from_json(job.architecture).input
        model = build_network(job, (height, width))
        # int8 reads floats here; the converter then makes its input uint8, see _quantize.
        dtype = tf.float32 if quantize == "int8" else tf.uint8
        shape = (job.batch or 1, *job.fixed_size, channels)
        function = tf.function(
            lambda image: _predict(model, image, (height, width), quantize),
            input_signature=[tf.TensorSpec(shape, dtype, name="image")],
        )
        owner = tf.Module()  # the converter keeps variables alive only if a module holds them
        owner.function, owner.kept = function, [v.value for v in model.variables]
        concrete = function.get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], owner)
        _quantize(converter, quantize, job)
        path.write_bytes(converter.convert())

    def load(self, path: Path) -> LoadedModel:
        from ai_edge_litert.interpreter import Interpreter

        model = Interpreter(str(path), num_threads=len(os.sched_getaffinity(0)))
        model.allocate_tensors()
        image, output = model.get_input_details()[0], model.get_output_details()[0]["index"]

        def predict(images: Any) -> Any:
            model.set_tensor(image["index"], images)
            model.invoke()
            return model.get_tensor(output)

        return LoadedModel(predict, int(image["shape"][0]))

    def embed(self, path: Path, facts: Mapping[str, Any]) -> None:
        from cnnsearch.exporters.litert_metadata import add_metadata

        add_metadata(path, facts)
        super().embed(path, facts)

    def snippet(self, file: str) -> str:
        return f"""\
from ai_edge_litert.interpreter import Interpreter

model = Interpreter("{file}")
model.allocate_tensors()
model.set_tensor(model.get_input_details()[0]["index"], images)
model.invoke()
probabilities = model.get_tensor(model.get_output_details()[0]["index"])"""


def _predict(model: Any, image: Any, size: tuple[int, int], quantize: str) -> dict[str, Any]:
    """Computes probabilities with operators that LiteRT has.

    It has none for antialiased resizing: as both sizes are known, that is two products with
    constant matrices.
    """
    import tensorflow as tf

    from cnnsearch.exporters.serving_model import apply_to_pixels, resize_matrix

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


def _quantize(converter: Any, quantize: str, job: ExportJob) -> None:
    import tensorflow as tf

    if quantize == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        converter.representative_dataset = lambda: _calibration_batches(job)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8


def _calibration_batches(job: ExportJob) -> Iterator[list[Any]]:
    import numpy as np

    pixels = np.load(job.calibration, mmap_mode="r", allow_pickle=False)
    rows = np.arange(job.batch or 1)
    for start in range(len(pixels)):
        yield [pixels[(start + rows) % len(pixels)].astype(np.float32)]
