"""Tensors, layer names, weights and padding for the ONNX graph."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnsearch.blocks.ops import Shape, Style
from cnnsearch.errors import ExportError
from cnnsearch.exporters.onnx_graph import Array, Graph


@dataclass(frozen=True)
class Value:
    """A tensor of the graph: its name, its shape without the batch; ``flat`` means (batch, C)."""

    name: str
    shape: Shape
    flat: bool = False


class Layers:
    """Tracks the place in the wiring, which gives the names of the next layer's weights.

    Args:
        style: the architecture's.
        graph: that nodes are added to.
        weights: arrays by the paths of Keras's variables.
    """

    def __init__(self, style: Style, graph: Graph, weights: Mapping[str, Array]) -> None:
        self.style = style
        self._place = ""
        self._graph = graph
        self._weights = weights
        self._made: dict[str, int] = {}

    @contextmanager
    def scope(self, name: str, drop_path: float = 0.0) -> Iterator[None]:
        outside, self._place = self._place, name
        yield
        self._place = outside

    def _claim_name(self, kind: str) -> str:
        """Returns the name that the layer has in Keras."""
        name = f"{self._place}.{kind}" if self._place else kind
        self._made[name] = self._made.get(name, 0) + 1
        return name if self._made[name] == 1 else f"{name}_{self._made[name]}"

    def _get_weight(self, layer: str, role: str) -> Array:
        found = self._weights.get(f"{layer}/{role}")
        if found is None:
            raise ExportError(f"the weights have no {layer}/{role}: they belong to another network")
        return np.asarray(found, dtype=np.float32)

    def _add_node(self, kind: str, inputs: Sequence[str], x: Value, **options: Any) -> Value:
        return Value(self._graph.add_node(kind, inputs, **options), x.shape, x.flat)

    def _add_constant(self, array: Array) -> str:
        return self._graph.add_constant(np.asarray(array, dtype=np.float32))

    def _add_per_channel(self, array: Array, x: Value) -> str:
        """Adds a constant with one value per channel of ``x``."""
        return self._add_constant(array if x.flat else array.reshape(-1, 1, 1))

    def _fold_batch_norm(self) -> tuple[Array, Array]:
        """Returns gain and offset of the next batch normalization."""
        layer = self._claim_name("batch_norm")
        mean, variance = (
            self._get_weight(layer, "moving_mean"),
            self._get_weight(layer, "moving_variance"),
        )
        gain = 1 / np.sqrt(variance + np.float32(self.style.norm_epsilon))
        if self.style.norm_scale:
            gain = gain * self._get_weight(layer, "gamma")
        return gain, self._get_weight(layer, "beta") - mean * gain
