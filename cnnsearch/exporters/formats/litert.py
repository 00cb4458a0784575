"""LiteRT (formerly TensorFlow Lite): for phones, boards and microcontrollers."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from cnnsearch.exporters.formats.base import ExportFormat, ExportJob, LoadedModel, Requirement

KEPT: Final = ("run", "trial", "mlflow_run_id", "class_names", "input", "output")
"""Facts in the file itself."""


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
    is_timed: ClassVar[bool] = True

    def make(self, job: ExportJob, path: Path, quantize: str) -> None:
        from cnnsearch.architecture.architecture import Architecture
        from cnnsearch.exporters.litert_file import shrink
        from cnnsearch.exporters.serving_model import build_network
        from cnnsearch.training.litert import convert

        height, width, channels = Architecture.from_json(job.architecture).input
        model = build_network(job, (height, width))
        shape = (job.batch or 1, *job.fixed_size, channels)
        content = convert(model, (height, width), shape, quantize, lambda: _read_batches(job))
        path.write_bytes(shrink(content) if quantize == "int8" else content)

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
        """Stores little in a file that has to fit into flash; ``export.json`` has the rest."""
        from cnnsearch.exporters.litert_metadata import add_metadata

        add_metadata(path, facts)
        super().embed(path, {key: facts[key] for key in KEPT})

    def snippet(self, file: str) -> str:
        return f"""\
from ai_edge_litert.interpreter import Interpreter

model = Interpreter("{file}")
model.allocate_tensors()
model.set_tensor(model.get_input_details()[0]["index"], images)
model.invoke()
probabilities = model.get_tensor(model.get_output_details()[0]["index"])"""


def _read_batches(job: ExportJob) -> Iterator[list[Any]]:
    import numpy as np

    pixels = np.load(job.calibration, mmap_mode="r", allow_pickle=False)
    rows = np.arange(job.batch or 1)
    for start in range(len(pixels)):
        yield [pixels[(start + rows) % len(pixels)].astype(np.float32)]
