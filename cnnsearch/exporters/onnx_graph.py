"""Builds an ONNX graph node by node, with weights in float32, float16 or int8."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
OPSET, IR = 20, 9
"""Versions of January 2024, which current runtimes support."""


class Graph:
    """Collects nodes and constants.

    Args:
        weights: how kernels are stored: float32, float16, or dynamic (int8 with one scale per
            channel). The computation is in float32 in any case.
    """

    def __init__(self, weights: str = "float32") -> None:
        self._kind = weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add_node(self, kind: str, inputs: Sequence[str], output: str = "", **options: Any) -> str:
        """Adds a node; returns the name of its output."""
        from onnx import helper

        name = f"{kind.lower()}_{len(self._nodes)}"
        made = helper.make_node(kind, list(inputs), [output or name], name=name, **options)
        self._nodes.append(made)
        return output or name

    def add_constant(self, array: Array) -> str:
        """Adds a constant; returns its name."""
        from onnx import numpy_helper

        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def add_weights(self, array: Array, axis: int = 0) -> str:
        """Adds a kernel.

        Args:
            array: float32.
            axis: of its output channels.
        """
        from onnx import TensorProto

        if self._kind == "float16":
            half = self.add_constant(array.astype(np.float16))
            return self.add_node("Cast", [half], to=TensorProto.FLOAT)
        if self._kind == "dynamic":
            whole, scale = quantize_weights(array, axis)
            inputs = [self.add_constant(whole), self.add_constant(scale)]
            return self.add_node("DequantizeLinear", inputs, axis=axis)
        return self.add_constant(array)

    def build_model(self, inputs: Any, outputs: Any, name: str) -> Any:
        """Returns the model, checked."""
        import onnx
        from onnx import helper

        graph = helper.make_graph(self._nodes, name, [inputs], [outputs], self._constants)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR, producer_name="cnnsearch"
        )
        onnx.checker.check_model(model)
        return model


def quantize_weights(array: Array, axis: int) -> tuple[Array, Array]:
    """Returns an array as int8 (-127 to 127), and the scale of each channel."""
    others = tuple(i for i in range(array.ndim) if i != axis)
    scale = np.maximum(np.abs(array).max(axis=others, keepdims=True) / 127, 1e-12)
    whole = np.clip(np.rint(array / scale), -127, 127).astype(np.int8)
    return whole, scale.reshape(-1).astype(np.float32)
