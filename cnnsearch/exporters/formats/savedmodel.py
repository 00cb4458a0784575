"""SavedModel: TensorFlow's format, for TensorFlow Serving and ``tf.saved_model.load``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from cnnsearch.exporters.formats.base import (
    FACTS_FILE,
    ExportFormat,
    ExportJob,
    LoadedModel,
    Requirement,
)

EXTRA = "assets.extra"
"""The folder of a SavedModel that TensorFlow keeps but does not read."""


class SavedModel(ExportFormat):
    """A folder that holds a TensorFlow program and its weights."""

    name: ClassVar[str] = "savedmodel"
    title: ClassVar[str] = "SavedModel"
    summary: ClassVar[str] = "TensorFlow and TensorFlow Serving"
    suffix: ClassVar[str] = ""
    runtime: ClassVar[Requirement] = Requirement("tensorflow")
    backend: ClassVar[str] = "tensorflow"
    startup: ClassVar[float] = 6.0
    caution: ClassVar[str] = (
        "A SavedModel is a program: TensorFlow executes whatever its graph contains, reading and "
        "writing files included. Open one from a stranger only if you would run a stranger's code."
    )

    def file(self, quantize: str = "float32") -> str:
        """Returns ``1``: what TensorFlow Serving calls a version."""
        return "1"

    def recognizes(self, path: Path) -> bool:
        return (path / "saved_model.pb").is_file()

    def make(self, job: ExportJob, path: Path, quantize: str) -> None:
        import keras
        import tensorflow as tf

        from cnnsearch.exporters.serving_model import build_serving_model

        model = build_serving_model(job)
        classes = model.output_shape[-1]

        def predict(image: Any) -> dict[str, Any]:
            if job.batch is not None:
                return {"probabilities": model(image, training=False)}
            probabilities = tf.cond(  # Keras's resizing refuses an empty batch
                tf.equal(tf.shape(image)[0], 0),
                lambda: tf.zeros((0, classes)),
                lambda: model(image, training=False),
            )
            return {"probabilities": tf.ensure_shape(probabilities, (None, classes))}

        archive = keras.export.ExportArchive()
        archive.track(model)
        signature = tf.TensorSpec(model.input_shape, tf.uint8, name="image")
        archive.add_endpoint("serving_default", predict, input_signature=[signature])
        archive.write_out(str(path), verbose=False)

    def load(self, path: Path) -> LoadedModel:
        import tensorflow as tf

        model = tf.saved_model.load(str(path))
        serve = model.signatures["serving_default"]

        def predict(images: Any, owner: Any = model) -> Any:  # the signature does not own its model
            return serve(image=tf.constant(images))["probabilities"].numpy()

        return LoadedModel(predict, serve.structured_input_signature[1]["image"].shape[0])

    def embed(self, path: Path, facts: Mapping[str, Any]) -> None:
        (path / EXTRA).mkdir(exist_ok=True)
        (path / EXTRA / FACTS_FILE).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
        names = "\n".join(facts["class_names"]) + "\n"
        (path / EXTRA / "class_names.txt").write_text(names, "utf-8")

    def read_facts(self, path: Path) -> Any:
        file = path / EXTRA / FACTS_FILE
        if not file.is_file():  # a FIFO would block
            raise FileNotFoundError(f"it has no {EXTRA}/{FACTS_FILE}")
        return json.loads(file.read_text("utf-8"))

    def snippet(self, file: str) -> str:
        return f"""\
import tensorflow as tf

model = tf.saved_model.load("{file}")
serve = model.signatures["serving_default"]
probabilities = serve(image=tf.constant(images))["probabilities"].numpy()
# TensorFlow Serving: --model_base_path is this folder, {file} is the version"""
