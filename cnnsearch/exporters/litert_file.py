"""Rewrites LiteRT files for devices: fewer bytes of flash, and operators in an order of low RAM."""

import math
from types import MappingProxyType
from typing import Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from cnnsearch.architecture.execution_order import Operator, reorder

IDENTIFIER: Final = b"TFL3"
ALIGNMENT: Final = 16
"""Bytes at whose multiples weights begin."""
BYTES: Final = MappingProxyType(
    {
        schema.TensorType.INT8: 1, schema.TensorType.UINT8: 1, schema.TensorType.BOOL: 1,
        schema.TensorType.INT16: 2, schema.TensorType.FLOAT16: 2, schema.TensorType.INT32: 4,
        schema.TensorType.FLOAT32: 4, schema.TensorType.INT64: 8,
    }
)  # fmt: skip
"""Of a value of each type."""


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """Writes arrays that are equal once.

    The converter writes eight bytes for the zero point of every output channel, which is 0, twice:
    without them, an int8 file of a small network is a tenth smaller.
    """

    def __init__(self) -> None:
        super().__init__(1 << 16)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: Any) -> int:
        key = x.dtype.str, x.tobytes()
        if key not in self._written:
            if x.dtype == np.uint8:  # the content of a buffer: the schema has force_align: 16
                self.Prep(ALIGNMENT, x.nbytes)
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


def read_model(content: bytes) -> Any:
    """Returns a file as objects of the schema."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def write_model(model: Any) -> bytes:
    """Returns the file of such objects."""
    builder = _Builder()
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def shrink(content: bytes) -> bytes:
    """Returns a model that computes the same with less flash and, where it branches, less RAM.

    Inner tensors have no names, equal arrays are written once, and operators are in the order of
    :func:`cnnsearch.architecture.execution_order.reorder`.
    """
    model = read_model(content)
    for graph in model.subgraphs:
        kept = {*graph.inputs, *graph.outputs}
        for number, tensor in enumerate(graph.tensors):
            tensor.name = tensor.name if number in kept else None
        if order := reorder(list_operators(graph)).order:
            graph.operators = [graph.operators[number - 1] for number in order[1:]]
    return write_model(model)


def list_operators(graph: Any) -> list[Operator]:
    """Returns the operators of a graph, the image first."""
    written = {int(number): 0 for number in graph.inputs}
    operators: list[Operator] = [("input", _measure(graph, graph.inputs), ())]
    for number, operator in enumerate(graph.operators, start=1):
        read = tuple(written[int(each)] for each in operator.inputs if int(each) in written)
        operators.append(("operator", _measure(graph, operator.outputs), read))
        written |= {int(each): number for each in operator.outputs}
    return operators


def _measure(graph: Any, numbers: Any) -> int:
    """Returns the bytes of some tensors."""
    tensors = [graph.tensors[number] for number in numbers]
    shapes = [() if each.shape is None else each.shape for each in tensors]
    sizes = [math.prod(map(int, shape)) for shape in shapes]
    return sum(n * BYTES[each.type] for n, each in zip(sizes, tensors, strict=True))
