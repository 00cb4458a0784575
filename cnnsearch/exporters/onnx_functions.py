"""Normalization and activation on an ONNX graph."""

from typing import Any

import numpy as np

from cnnsearch.blocks.ops import Activation, NormKind
from cnnsearch.exporters.onnx_layers import Layers, Value

SIMPLE: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.2}),  # as Keras has it
    "elu": ("Elu", {"alpha": 1.0}),
    "gelu": ("Gelu", {"approximate": "none"}),
    "gelu_tanh": ("Gelu", {"approximate": "tanh"}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_swish": ("HardSwish", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "softmax": ("Softmax", {"axis": 1}),
}


class Functions(Layers):
    """Adds what keeps the shape of a map: normalization, activation, a constant factor."""

    def normalize(self, x: Value, kind: NormKind | None = None) -> Value:
        kind = kind or self.style.norm
        if kind == "batch":
            gain, offset = self._fold_batch_norm()
            y = self._add_node("Mul", [x.name, self._add_per_channel(gain, x)], x)
            return self._add_node("Add", [y.name, self._add_per_channel(offset, x)], x)
        if kind == "layer":
            return self._add_layer_norm(x)
        if kind == "group":
            return self._add_group_norm(x)
        return self._add_response_norm(x) if kind == "global_response" else x

    def _add_group_norm(self, x: Value) -> Value:
        layer, groups = self._claim_name("group_norm"), self.style.norm_groups
        ones, zeros = (self._add_constant(np.full(groups, value)) for value in (1.0, 0.0))
        rows = self._reshape(x, [0, groups, -1])
        epsilon = self.style.norm_epsilon
        y = self._add_node("InstanceNormalization", [rows.name, ones, zeros], x, epsilon=epsilon)
        y = self._reshape(y, [0, x.shape.c] if x.flat else [0, x.shape.c, *x.shape[:2]])
        if self.style.norm_scale:
            gain = self._add_per_channel(self._get_weight(layer, "gamma"), x)
            y = self._add_node("Mul", [y.name, gain], x)
        offset = self._add_per_channel(self._get_weight(layer, "beta"), x)
        return self._add_node("Add", [y.name, offset], x)

    def _add_response_norm(self, x: Value) -> Value:
        layer, energy = self._claim_name("global_response_norm"), x
        if not x.flat:
            axes = self._graph.add_constant(np.array([2, 3]))
            energy = self._add_node("ReduceL2", [x.name, axes], x, keepdims=1)
        channels = self._graph.add_constant(np.array([1]))
        mean = self._add_node("ReduceMean", [energy.name, channels], x, keepdims=1)
        epsilon = self._add_constant(np.array(self.style.norm_epsilon))
        share = self._add_node("Add", [mean.name, epsilon], x)
        share = self._add_node("Div", [energy.name, share.name], x)
        gain, offset = (
            self._add_per_channel(self._get_weight(layer, role), x) for role in ("gamma", "beta")
        )
        y = self._add_node("Mul", [self._add_node("Mul", [x.name, share.name], x).name, gain], x)
        y = self._add_node("Add", [y.name, offset], x)
        return self._add_node("Add", [x.name, y.name], x)

    def _reshape(self, x: Value, shape: list[int]) -> Value:
        return self._add_node("Reshape", [x.name, self._graph.add_constant(np.array(shape))], x)

    def _add_layer_norm(self, x: Value) -> Value:
        layer = self._claim_name("layer_norm")
        ones = np.ones(x.shape.c, np.float32)
        gain = self._get_weight(layer, "gamma") if self.style.norm_scale else ones
        last = x if x.flat else self._add_node("Transpose", [x.name], x, perm=[0, 2, 3, 1])
        inputs = [
            last.name,
            self._add_constant(gain),
            self._add_constant(self._get_weight(layer, "beta")),
        ]
        epsilon = self.style.norm_epsilon
        y = self._add_node("LayerNormalization", inputs, x, axis=-1, epsilon=epsilon)
        return y if x.flat else self._add_node("Transpose", [y.name], x, perm=[0, 3, 1, 2])

    def activate(self, x: Value, activation: Activation | None = None) -> Value:
        function = activation or self.style.activation
        if function == "linear":
            return x
        if function == "relu6":
            bounds = [self._add_constant(np.array(end)) for end in (0.0, 6.0)]
            return self._add_node("Clip", [x.name, *bounds], x)
        if function == "swish":
            return self._add_node("Mul", [x.name, self._add_node("Sigmoid", [x.name], x).name], x)
        if function == "quick_gelu":
            steep = self.scale(x, 1.702)
            gate = self._add_node("Sigmoid", [steep.name], x)
            return self._add_node("Mul", [x.name, gate.name], x)
        if function == "prelu":
            slopes = self._get_weight(self._claim_name("prelu"), "alpha").reshape(-1)
            return self._add_node("PRelu", [x.name, self._add_per_channel(slopes, x)], x)
        if function == "mish":
            gate = self._add_node("Tanh", [self._add_node("Softplus", [x.name], x).name], x)
            return self._add_node("Mul", [x.name, gate.name], x)
        kind, options = SIMPLE[function]
        return self._add_node(kind, [x.name], x, **options)

    def scale(self, x: Value, factor: float) -> Value:
        return self._add_node("Mul", [x.name, self._add_constant(np.array(factor))], x)
