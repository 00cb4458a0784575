"""Writes ONNX files straight from an architecture and its saved weights."""

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.blocks.ops import Shape
from cnnsearch.errors import RunError
from cnnsearch.exporters.job import Job
from cnnsearch.exporters.onnx_graph import Array, Graph
from cnnsearch.exporters.onnx_layers import Value
from cnnsearch.exporters.onnx_ops import OnnxOps
from cnnsearch.training import checkpoint

IN_8_BITS = ("Conv", "MatMul", "Add", "Mul", "Sigmoid", "MaxPool", "GlobalAveragePool", "Concat")
"""Operators that are computed in 8 bits; preprocessing is not."""


def save_onnx(job: Job, path: Path, quantize: str, facts: Mapping[str, str]) -> None:
    """Writes an ONNX file that takes uint8 images (batch, height, width, channels).

    Args:
        job: what is exported.
        path: the file.
        quantize: how the weights are stored; ``int8`` is calibrated on the job's images.
        facts: become the file's metadata.
    """
    import onnx

    model = onnx_model(job, quantize)
    if quantize == "int8":
        model = _calibrated(model, Path(job.calibration), job.batch)
    onnx.helper.set_model_props(model, dict(facts))
    onnx.save(model, path)


def onnx_model(job: Job, quantize: str = "float32") -> Any:
    """Returns the model as ONNX's ModelProto.

    Raises:
        RunError: there are no weights, or they are of another architecture.
    """
    from onnx import TensorProto, helper

    architecture = Architecture.from_json(job.architecture)
    graph = Graph(quantize)
    op = OnnxOps(architecture.style, graph, weights_of(Path(job.weights)))
    pixels = _preprocessed(graph, job, architecture)
    (logits,) = architecture.wire(op, pixels, False)
    graph.node("Softmax", [op.flatten(logits).name], "probabilities", axis=-1)
    height, width = job.size or ("height", "width")
    batch = job.batch or "batch"
    shape = [batch, height, width, architecture.input[2]]
    return graph.model(
        helper.make_tensor_value_info("image", TensorProto.UINT8, shape),
        helper.make_tensor_value_info(
            "probabilities", TensorProto.FLOAT, [batch, architecture.classes]
        ),
        "".join(c if c.isalnum() else "_" for c in architecture.name) or "architecture",
    )


def weights_of(path: Path) -> dict[str, Array]:
    """Returns a checkpoint's arrays by the paths of Keras's variables.

    Raises:
        RunError: there is no such file, or it is no checkpoint.
    """
    found = checkpoint.read(path)
    if found is None:
        raise RunError(f"{path}: there are no weights")
    return dict(zip(found.header["paths"], found.arrays, strict=True))


def _preprocessed(graph: Graph, job: Job, architecture: Architecture) -> Value:
    """Resizes (linear, antialiased) unless the size is the network's own, and normalizes."""
    from onnx import TensorProto

    height, width, channels = architecture.input
    name = graph.node("Cast", ["image"], to=TensorProto.FLOAT)
    name = graph.node("Transpose", [name], perm=[0, 3, 1, 2])
    if job.size is None or tuple(job.size) != (height, width):
        rows, columns = (_shrinking(graph, axis, to) for axis, to in ((1, height), (2, width)))
        name = graph.node("MatMul", [rows, name])
        name = graph.node("MatMul", [name, graph.node("Transpose", [columns], perm=[1, 0])])
    mean = np.array(job.mean, np.float32).reshape(-1, 1, 1)
    gain = (1 / np.maximum(np.array(job.std, np.float32), 1e-6)).reshape(-1, 1, 1)
    name = graph.node("Mul", [name, graph.constant(gain / np.float32(255))])
    name = graph.node("Sub", [name, graph.constant(mean * gain)], "pixels")
    return Value(name, Shape(height, width, channels))


def _shrinking(graph: Graph, axis: int, to: int) -> str:
    """Returns the matrix of ``keras_export.shrinking`` for a size seen when it runs.

    ONNX Runtime's own antialiased Resize weighs the pixels at the edges otherwise than TensorFlow,
    JAX and Pillow do.
    """
    from onnx import TensorProto

    def number(value: object) -> str:
        return graph.constant(np.asarray(value, np.float32))

    shape = graph.node("Shape", ["image"], start=axis, end=axis + 1)
    size = graph.node("Cast", [shape], to=TensorProto.FLOAT)
    ratio = graph.node("Div", [size, number([to])])
    centres = graph.node("Mul", [number(np.arange(to)[:, None] + 0.5), ratio])
    ends = [number(0.5), graph.node("Squeeze", [graph.node("Add", [size, number([0.5])])])]
    pixels = graph.node("Range", [*ends, number(1.0)])
    away = graph.node("Abs", [graph.node("Sub", [pixels, centres])])
    reach = graph.node("Max", [ratio, number([1.0])])
    near = graph.node("Sub", [number(1.0), graph.node("Div", [away, reach])])
    weights = graph.node("Relu", [near])
    total = graph.node("ReduceSum", [weights, graph.constant(np.array([1]))], keepdims=1)
    return graph.node("Div", [weights, total])


def _calibrated(model: Any, images: Path, batch: int | None) -> Any:
    """Returns the model in 8 bits: weights per channel, activations by their range on images."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    pixels = np.load(images, mmap_mode="r", allow_pickle=False)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._step, self._at = batch or 32, 0

        def get_next(self) -> dict[str, Array] | None:
            if self._at >= len(pixels):
                return None
            rows = (self._at + np.arange(self._step)) % len(pixels)
            self._at += self._step
            return {"image": np.asarray(pixels[rows])}

    logging.getLogger().setLevel(logging.ERROR)  # it recommends what has been done here already
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        quantize_static(
            model, file, Reader(), per_channel=True, weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8, op_types_to_quantize=list(IN_8_BITS),
            nodes_to_exclude=_until(model, "pixels"),
        )  # fmt: skip
        return onnx.load(file)


def _until(model: Any, output: str) -> list[str]:
    """Returns the names of the nodes up to the one with that output."""
    nodes = list(model.graph.node)
    last = next(i for i, node in enumerate(nodes) if output in node.output)
    return [node.name for node in nodes[: last + 1]]
