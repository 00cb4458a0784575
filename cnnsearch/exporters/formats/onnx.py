"""ONNX: for ONNX Runtime and everything else that reads the exchange format.

The graph is written from the architecture's own wiring and the saved weights, not by Keras. Tried
with Keras 3.15: ``model.export(format="onnx")`` on TensorFlow needs tf2onnx, which (1.17) has no
operator for antialiased resizing (``ScaleAndTranslate``), only warns, and writes a file that ONNX
Runtime refuses as an invalid graph; on JAX it needs jax2onnx, which brings Flax, Equinox, Orbax and
more. Written from the wiring, the file is the same whatever backend trained the network, batch
normalization is folded into convolutions, and weights can be stored in 8 or 16 bits.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from cnnsearch.exporters.formats.base import ExportFormat, ExportJob, LoadedModel, Requirement

if TYPE_CHECKING:
    from cnnsearch.exporters.onnx_graph import Array

KEY = "cnnsearch"
"""Of the facts in an ONNX file's metadata."""
_EXTRA = "cnnsearch[onnx]"


class Onnx(ExportFormat):
    """One ``.onnx`` file."""

    name: ClassVar[str] = "onnx"
    title: ClassVar[str] = "ONNX"
    summary: ClassVar[str] = "ONNX Runtime"
    suffix: ClassVar[str] = ".onnx"
    runtime: ClassVar[Requirement] = Requirement("onnxruntime", _EXTRA)
    writers: ClassVar[tuple[Requirement, ...]] = (Requirement("onnx", _EXTRA),)
    quantizations: ClassVar[tuple[str, ...]] = ("float32", "float16", "dynamic", "int8")
    startup: ClassVar[float] = 0.2
    is_timed: ClassVar[bool] = True

    def make(self, job: ExportJob, path: Path, quantize: str) -> None:
        import onnx

        from cnnsearch.exporters.onnx_model import build_onnx_model, quantize_activations

        model = build_onnx_model(job, quantize)
        if quantize == "int8":
            model = quantize_activations(model, Path(job.calibration), job.batch)
        onnx.save(model, path)

    def load(self, path: Path) -> LoadedModel:
        session = _open_session(path)
        size = session.get_inputs()[0].shape[0]

        def predict(images: Any) -> "Array":
            probabilities: Array = session.run(["probabilities"], {"image": images})[0]
            return probabilities

        return LoadedModel(predict, size if isinstance(size, int) else None)

    def embed(self, path: Path, facts: Mapping[str, Any]) -> None:
        import onnx

        plain = {key: facts[key] for key in ("run", "trial", "mlflow_run_id") if facts[key]}
        parts = ("class_names", "architecture", "metrics", "versions")
        coded = {key: json.dumps(facts[key]) for key in parts}
        model = onnx.load(path)
        onnx.helper.set_model_props(model, {**plain, **coded, KEY: json.dumps(facts)})
        onnx.save(model, path)

    def read_facts(self, path: Path) -> Any:
        return json.loads(_open_session(path).get_modelmeta().custom_metadata_map[KEY])

    def snippet(self, file: str) -> str:
        return f"""\
import onnxruntime

model = onnxruntime.InferenceSession("{file}")
(probabilities,) = model.run(["probabilities"], {{"image": images}})"""


def _open_session(path: Path) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    # Without a fallback, it does not print to standard output about a damaged file.
    return onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"], enable_fallback=0
    )
