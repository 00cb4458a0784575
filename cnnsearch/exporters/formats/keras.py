"""Keras's own ``.keras`` file, for further training and for any of Keras's backends."""

from pathlib import Path
from typing import ClassVar

from cnnsearch.exporters.formats.base import ExportFormat, ExportJob, LoadedModel, Requirement


class Keras(ExportFormat):
    """One ``.keras`` file; layers that Keras does not have come from cnnsearch."""

    name: ClassVar[str] = "keras"
    title: ClassVar[str] = "Keras"
    summary: ClassVar[str] = "Keras on TensorFlow or JAX"
    suffix: ClassVar[str] = ".keras"
    runtime: ClassVar[Requirement] = Requirement("keras")
    startup: ClassVar[float] = 8.0
    caution: ClassVar[str] = (
        "Keras loads it in safe mode, which refuses Python code inside the file (Lambda layers); "
        "do not switch that off for a file from a stranger."
    )

    def make(self, job: ExportJob, path: Path, quantize: str) -> None:
        from cnnsearch.exporters.serving_model import build_serving_model

        build_serving_model(job).save(path)

    def load(self, path: Path) -> LoadedModel:
        import keras

        import cnnsearch.training.layers  # noqa: F401  (registers what Keras does not have)

        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        return LoadedModel(model.predict_on_batch, model.input_shape[0])

    def snippet(self, file: str) -> str:
        return f"""\
import keras

import cnnsearch.training.layers  # registers the layers that Keras does not have

model = keras.saving.load_model("{file}")
probabilities = model.predict(images, verbose=0)"""
