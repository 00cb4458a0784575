"""Gives maps that are 0 for all calibration images a scale that LiteRT can compute with.

A ReLU may be 0 everywhere; that of a squeeze-and-excitation of one channel often is. The converter
quantizes such a map with the smallest scale it has, 2e-6 / 255. The factor by which a convolution
then multiplies its sums exceeds the 256 that XNNPACK allows, and LiteRT 2.1 aborts the process that
loads the model. Zero is exact at any scale, so another one changes no value.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

DEAD: Final = 1e-8
"""A scale below is that of a map of zeros."""
USUAL: Final = 1e-3
WITH_BIAS: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators whose third input is a bias; its scale is the product of the first two inputs'."""


def widen_dead_maps(content: bytes) -> bytes:
    """Returns an int8 LiteRT model without scales below ``DEAD``, all else where it was."""
    from tensorflow.lite.python.schema_py_generated import Model

    file = bytearray(content)
    model = Model.GetRootAs(file, 0)  # its arrays are views of the file, and may be written to
    for number in range(model.SubgraphsLength()):
        _widen_graph(model, model.Subgraphs(number))
    return bytes(file)


def _widen_graph(model: Any, graph: Any) -> None:
    tensors = [graph.Tensors(number) for number in range(graph.TensorsLength())]
    dead = {number for number, tensor in enumerate(tensors) if _is_dead(tensor)}
    for number in dead:
        tensors[number].Quantization().ScaleAsNumpy()[:] = USUAL
    for read, kernel, bias in _list_biases(model, graph):
        if read in dead:
            scales = USUAL * tensors[kernel].Quantization().ScaleAsNumpy().astype(np.float64)
            _move_bias(model, tensors[bias], scales)


def _is_dead(tensor: Any) -> bool:
    from tensorflow.lite.python.schema_py_generated import TensorType

    quantized = tensor.Quantization() if tensor.Type() == TensorType.INT8 else None
    return bool(quantized and quantized.ScaleLength() and quantized.ScaleAsNumpy().max() < DEAD)


def _list_biases(model: Any, graph: Any) -> Iterator[tuple[int, int, int]]:
    """Yields the map, the kernel and the bias that each operator with a bias reads."""
    from tensorflow.lite.python.schema_py_generated import BuiltinOperator

    codes = {getattr(BuiltinOperator, name) for name in WITH_BIAS}
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        read = [operator.Inputs(place) for place in range(operator.InputsLength())]
        is_one = model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode() in codes
        if is_one and len(read) > 2 and read[2] >= 0:
            yield read[0], read[1], read[2]


def _move_bias(model: Any, bias: Any, scales: Any) -> None:
    """Quantizes a bias anew."""
    before = bias.Quantization().ScaleAsNumpy()
    values = model.Buffers(bias.Buffer()).DataAsNumpy().view(np.int32)
    values[:] = np.round(values * (before.astype(np.float64) / scales))
    before[:] = scales
