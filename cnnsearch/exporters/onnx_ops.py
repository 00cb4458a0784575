"""Implements ``Ops`` on an ONNX graph with the saved weights.

Needs ONNX and NumPy, neither Keras nor TensorFlow: whatever backend a network was trained on, its
weights are arrays under the names that ``training.keras_ops.KerasOps`` gives layers. Feature maps
are (batch, channels, height, width), as ONNX requires.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnsearch.blocks.geometry import compute_pads, get_sides, resolve_padding, slide_window
from cnnsearch.blocks.ops import Activation, Kernel, Padding, PoolKind, Shape
from cnnsearch.exporters.onnx_functions import Functions
from cnnsearch.exporters.onnx_graph import Array
from cnnsearch.exporters.onnx_layers import Value

NEARLY_ZERO = 1e-30
"""Padding that ONNX Runtime does not fuse into MaxPool, where it would not count as zero."""


class OnnxOps(Functions):
    """Adds the inference graph of an architecture; folds batch normalization into convolutions."""

    def shape(self, x: Value) -> Shape:
        return x.shape

    def conv(
        self,
        x: Value,
        filters: int,
        kernel: Kernel = 3,
        stride: int = 1,
        *,
        padding: Padding = "same",
        groups: int = 1,
        dilation: int = 1,
        bias: bool | None = None,
        norm: bool = True,
        activation: bool | Activation = True,
    ) -> Value:
        layer = self._claim_name("conv")
        weights = self._get_weight(layer, "kernel").transpose(3, 2, 0, 1)
        y = self._convolve(x, layer, weights, (stride, padding, dilation), bias, norm)
        return self._activate(y, activation)

    def depthwise_conv(
        self,
        x: Value,
        kernel: Kernel = 3,
        stride: int = 1,
        *,
        multiplier: int = 1,
        padding: Padding = "same",
        dilation: int = 1,
        bias: bool | None = None,
        norm: bool = True,
        activation: bool | Activation = True,
    ) -> Value:
        layer = self._claim_name("depthwise_conv")
        size = get_sides(kernel)
        weights = self._get_weight(layer, "kernel").transpose(2, 3, 0, 1).reshape(-1, 1, *size)
        y = self._convolve(x, layer, weights, (stride, padding, dilation), bias, norm)
        return self._activate(y, activation)

    def _convolve(
        self, x: Value, layer: str, weights: Array, steps: tuple[int, Padding, int],
        biased: bool | None, norm: bool,
    ) -> Value:  # fmt: skip
        """Convolves with kernels (out, in / groups, rows, columns); folds batch normalization."""
        stride, padding, dilation = steps
        kernel = (weights.shape[2], weights.shape[3])
        padding = resolve_padding(self.style, padding, kernel, stride)
        bias = np.zeros(len(weights), np.float32)
        if self.style.conv_bias if biased is None else biased:
            bias = self._get_weight(layer, "bias")
        folded = norm and self.style.norm == "batch"
        if folded:
            gain, offset = self._fold_batch_norm()
            weights, bias = weights * gain.reshape(-1, 1, 1, 1), bias * gain + offset
        name = self._graph.add_node(
            "Conv", [x.name, self._graph.add_weights(weights), self._add_constant(bias)],
            group=x.shape.c // weights.shape[1], kernel_shape=list(kernel),
            strides=[stride, stride], dilations=[dilation, dilation],
            pads=compute_pads(x.shape, kernel, stride, padding, dilation),
        )  # fmt: skip
        h, w = slide_window(x.shape, kernel, stride, padding, dilation)
        y = Value(name, Shape(h, w, len(weights)))
        return self.normalize(y) if norm and not folded else y

    def _activate(self, x: Value, activation: bool | Activation) -> Value:
        if activation is False:
            return x
        return self.activate(x, None if activation is True else activation)

    def channel_conv(self, x: Value, kernel: int) -> Value:
        weights = self._get_weight(self._claim_name("channel_conv"), "kernel").transpose(2, 1, 0)
        row = self._reshape(x, [0, 1, x.shape.c])
        inputs = [row.name, self._graph.add_weights(weights)]
        y = self._add_node("Conv", inputs, x, kernel_shape=[kernel], pads=[kernel // 2] * 2)
        return self._reshape(y, [0, x.shape.c, 1, 1])

    def dense(
        self, x: Value, units: int, *, activation: Activation = "linear", bias: bool = True
    ) -> Value:
        if not x.flat and x.shape[:2] == (1, 1):
            x = self.flatten(x)
        layer = self._claim_name("dense")
        rows = x if x.flat else self._add_node("Transpose", [x.name], x, perm=[0, 2, 3, 1])
        weights = self._graph.add_weights(self._get_weight(layer, "kernel"), axis=1)
        y = self._graph.add_node("MatMul", [rows.name, weights])
        if bias:
            y = self._graph.add_node(
                "Add", [y, self._add_constant(self._get_weight(layer, "bias"))]
            )
        if not x.flat:
            y = self._graph.add_node("Transpose", [y], perm=[0, 3, 1, 2])
        return self.activate(Value(y, Shape(x.shape.h, x.shape.w, units), x.flat), activation)

    def local_response_norm(self, x: Value) -> Value:
        # The layer's alpha multiplies the sum of five squares, ONNX's their mean.
        return self._add_node("LRN", [x.name], x, size=5, alpha=5e-4, beta=0.75, bias=2.0)

    def pool(
        self, x: Value, kind: PoolKind, size: int = 2, stride: int = 2, padding: Padding = "same"
    ) -> Value:
        h, w = slide_window(x.shape, (size, size), stride, padding)
        pads = compute_pads(x.shape, (size, size), stride, padding)
        ignores = padding in ("same", "valid") or (padding == "ceil" and kind == "max")
        if not ignores:  # Keras counts the padding
            x = self._pad(x, pads, NEARLY_ZERO if kind == "max" else 0.0)
            pads = [0, 0, 0, 0]
        options: dict[str, Any] = {"kernel_shape": [size] * 2, "strides": [stride] * 2}
        name = "MaxPool" if kind == "max" else "AveragePool"
        return Value(
            self._graph.add_node(name, [x.name], pads=pads, **options), Shape(h, w, x.shape.c)
        )

    def _pad(self, x: Value, pads: list[int], filler: float) -> Value:
        if not any(pads):
            return x
        top, left, bottom, right = pads
        ends = self._graph.add_constant(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
        return self._add_node("Pad", [x.name, ends, self._add_constant(np.array(filler))], x)

    def global_pool(self, x: Value, kind: PoolKind = "avg") -> Value:
        name = "GlobalMaxPool" if kind == "max" else "GlobalAveragePool"
        return Value(self._graph.add_node(name, [x.name]), Shape(1, 1, x.shape.c))

    def flatten(self, x: Value) -> Value:
        if x.flat:
            return x
        h, w, c = x.shape
        name = x.name
        if h * w > 1:  # Keras flattens channels last
            name = self._graph.add_node("Transpose", [name], perm=[0, 2, 3, 1])
        return Value(self._graph.add_node("Flatten", [name], axis=1), Shape(1, 1, h * w * c), True)

    def add(self, xs: Sequence[Value]) -> Value:
        total = xs[0]
        for x in xs[1:]:
            total = self._add_node("Add", [total.name, x.name], total)
        return total

    def mean(self, xs: Sequence[Value], drop_path: float = 0.0) -> Value:
        return self.scale(self.add(xs), 1 / len(xs)) if len(xs) > 1 else xs[0]

    def multiply(self, x: Value, gate: Value) -> Value:
        if gate.flat and not x.flat:
            gate = self._reshape(gate, [0, gate.shape.c, 1, 1])
        return self._add_node("Mul", [x.name, gate.name], x)

    def concat(self, xs: Sequence[Value]) -> Value:
        if len(xs) == 1:
            return xs[0]
        h, w, _ = xs[0].shape
        joined = Shape(h, w, sum(x.shape.c for x in xs))
        return Value(
            self._graph.add_node("Concat", [x.name for x in xs], axis=1), joined, xs[0].flat
        )

    def select(self, x: Value, channels: Sequence[int]) -> Value:
        which = self._graph.add_constant(np.array(channels, np.int64))
        shape = Shape(x.shape.h, x.shape.w, len(channels))
        return Value(self._graph.add_node("Gather", [x.name, which], axis=1), shape, x.flat)

    def pad_channels(self, x: Value, channels: int) -> Value:
        if channels == x.shape.c:
            return x
        ends = np.array([0, 0, 0, 0, 0, channels - x.shape.c, 0, 0], np.int64)
        inputs = [x.name, self._graph.add_constant(ends), self._add_constant(np.array(0.0))]
        return Value(self._graph.add_node("Pad", inputs), Shape(x.shape.h, x.shape.w, channels))

    def shift(self, x: Value) -> Value:
        ends = self._graph.add_constant(np.array([0, 0, -1, -1, 0, 0, 1, 1], np.int64))
        return self._add_node("Pad", [x.name, ends, self._add_constant(np.array(0.0))], x)

    def space_to_depth(self, x: Value, block: int = 2) -> Value:
        h, w, c = x.shape
        name = self._graph.add_node("SpaceToDepth", [x.name], blocksize=block)
        return Value(name, Shape(h // block, w // block, c * block**2))

    def affine(self, x: Value, *, bias: bool, initial: float = 1.0) -> Value:
        layer = self._claim_name("affine")
        y = self._add_node(
            "Mul", [x.name, self._add_per_channel(self._get_weight(layer, "gamma"), x)], x
        )
        if not bias:
            return y
        return self._add_node(
            "Add", [y.name, self._add_per_channel(self._get_weight(layer, "beta"), x)], x
        )

    def dropout(self, x: Value, rate: float) -> Value:
        return x

    def drop_path(self, x: Value) -> Value:
        return x

    def rbf(self, x: Value, classes: int) -> Value:
        x = self.flatten(x)
        prototypes = self._get_weight(self._claim_name("rbf"), "prototypes")
        rows = self._graph.add_node("Unsqueeze", [x.name, self._graph.add_constant(np.array([1]))])
        away = self._graph.add_node("Sub", [rows, self._add_constant(prototypes[None])])
        squares = self._graph.add_node("Mul", [away, away])
        axes = self._graph.add_constant(np.array([2]))
        total = self._graph.add_node("ReduceSum", [squares, axes], keepdims=0)
        return Value(self._graph.add_node("Neg", [total]), Shape(1, 1, classes), True)
