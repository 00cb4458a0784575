"""Builds ONNX models from an architecture and its saved weights."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.blocks.ops import Shape
from cnnsearch.exporters.formats.base import ExportJob
from cnnsearch.exporters.onnx_graph import Array, Graph
from cnnsearch.exporters.onnx_layers import Value
from cnnsearch.exporters.onnx_ops import OnnxOps
from cnnsearch.training.checkpoint import read_weights

IN_8_BITS = ("Conv", "MatMul", "Add", "Mul", "Sigmoid", "MaxPool", "GlobalAveragePool", "Concat")
"""Operators that int8 models compute in 8 bits; preprocessing stays float32."""


def build_onnx_model(job: ExportJob, quantize: str = "float32") -> Any:
    """Returns the model as an ONNX ModelProto.

    Raises:
        RunError: the checkpoint does not exist, or is not one.
        ExportError: its weights belong to another architecture.
    """
    from onnx import TensorProto, helper

    architecture = Architecture.from_json(job.architecture)
    graph = Graph(quantize)
    op = OnnxOps(architecture.style, graph, read_weights(Path(job.weights)))
    pixels = _add_preprocessing(graph, job, architecture)
    (logits,) = architecture.wire(op, pixels, False)
    graph.add_node("Softmax", [op.flatten(logits).name], "probabilities", axis=-1)
    height, width = job.size or ("height", "width")
    batch = job.batch or "batch"
    shape = [batch, height, width, architecture.input[2]]
    return graph.build_model(
        helper.make_tensor_value_info("image", TensorProto.UINT8, shape),
        helper.make_tensor_value_info(
            "probabilities", TensorProto.FLOAT, [batch, architecture.classes]
        ),
        "".join(c if c.isalnum() else "_" for c in architecture.name) or "architecture",
    )


def _add_preprocessing(graph: Graph, job: ExportJob, architecture: Architecture) -> Value:
    """Resizes (linear, antialiased) unless the size is the network's own, and normalizes."""
    from onnx import TensorProto

    height, width, channels = architecture.input
    name = graph.add_node("Cast", ["image"], to=TensorProto.FLOAT)
    name = graph.add_node("Transpose", [name], perm=[0, 3, 1, 2])
    if job.size is None or tuple(job.size) != (height, width):
        rows, columns = (
            _add_resize_matrix(graph, axis, to) for axis, to in ((1, height), (2, width))
        )
        name = graph.add_node("MatMul", [rows, name])
        name = graph.add_node("MatMul", [name, graph.add_node("Transpose", [columns], perm=[1, 0])])
    mean = np.array(job.mean, np.float32).reshape(-1, 1, 1)
    gain = (1 / np.maximum(np.array(job.std, np.float32), 1e-6)).reshape(-1, 1, 1)
    name = graph.add_node("Mul", [name, graph.add_constant(gain / np.float32(255))])
    name = graph.add_node("Sub", [name, graph.add_constant(mean * gain)], "pixels")
    return Value(name, Shape(height, width, channels))


def _add_resize_matrix(graph: Graph, axis: int, to: int) -> str:
    """Computes :func:`cnnsearch.training.litert.resize_matrix` for a size known at run time.

    ONNX Runtime's own antialiased Resize weighs the pixels at the edges differently from
    TensorFlow, JAX and Pillow.
    """
    from onnx import TensorProto

    def number(value: object) -> str:
        return graph.add_constant(np.asarray(value, np.float32))

    shape = graph.add_node("Shape", ["image"], start=axis, end=axis + 1)
    size = graph.add_node("Cast", [shape], to=TensorProto.FLOAT)
    ratio = graph.add_node("Div", [size, number([to])])
    centres = graph.add_node("Mul", [number(np.arange(to)[:, None] + 0.5), ratio])
    ends = [number(0.5), graph.add_node("Squeeze", [graph.add_node("Add", [size, number([0.5])])])]
    pixels = graph.add_node("Range", [*ends, number(1.0)])
    distance = graph.add_node("Abs", [graph.add_node("Sub", [pixels, centres])])
    reach = graph.add_node("Max", [ratio, number([1.0])])
    weights = graph.add_node("Sub", [number(1.0), graph.add_node("Div", [distance, reach])])
    weights = graph.add_node("Relu", [weights])
    total = graph.add_node("ReduceSum", [weights, graph.add_constant(np.array([1]))], keepdims=1)
    return graph.add_node("Div", [weights, total])


def quantize_activations(model: Any, images: Path, batch: int | None) -> Any:
    """Returns the model in 8 bits: weights per channel, activations by their range on images.

    Args:
        model: float32 ModelProto.
        images: an .npy file of training images, uint8 (N, H, W, C).
        batch: images per call; None: any.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    pixels = np.load(images, mmap_mode="r", allow_pickle=False)
    step = batch or 32
    starts = iter(range(0, len(pixels), step))

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Array] | None:
            start = next(starts, None)
            if start is None:
                return None
            return {"image": np.asarray(pixels[(start + np.arange(step)) % len(pixels)])}

    logging.getLogger().setLevel(logging.ERROR)  # it recommends pre-processing that is done already
    nodes = list(model.graph.node)
    last = next(i for i, node in enumerate(nodes) if "pixels" in node.output)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        quantize_static(
            model, file, Reader(), per_channel=True, weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8, op_types_to_quantize=list(IN_8_BITS),
            nodes_to_exclude=[node.name for node in nodes[: last + 1]],
        )  # fmt: skip
        return onnx.load(file)
