"""What the training time of a network depends on, counted in one walk over its wiring."""

from typing import Any, Final, NamedTuple

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.counting import CountingOps
from cnnsearch.blocks.geometry import get_sides
from cnnsearch.blocks.ops import Activation, Kernel, Shape, Style

SMOOTH: Final = frozenset(
    {"elu", "gelu", "gelu_tanh", "quick_gelu", "swish", "mish", "tanh", "sigmoid", "softmax"}
)
"""Activations with an exponential in them, which take several times as long as a ReLU."""


class Work(NamedTuple):
    """What the training time of a network depends on, for one image.

    Attributes:
        spatial: multiply-accumulates of convolutions with larger filters than 1x1.
        pointwise: those of 1x1 convolutions and dense layers.
        grouped: those of grouped and depthwise convolutions.
        values: that all layers put out, which stand for memory traffic.
        smooth: values of smooth activations.
        layers: the number of layers.
    """

    spatial: int
    pointwise: int
    grouped: int
    values: int
    smooth: int
    layers: int


class WorkOps(CountingOps):
    """Adds up work by kind beside the cost."""

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self.spatial = self.grouped = self.values = self.smooth = 0

    def _add(self, output: Shape, params: int = 0, macs: int = 0, frozen: int = 0) -> Shape:
        self.values += output.h * output.w * output.c
        return super()._add(output, params, macs, frozen)

    def _add_activation(self, x: Shape, activation: bool | Activation | None) -> Shape:
        kind = self.style.activation if activation in (True, None) else activation
        self.smooth += x.h * x.w * x.c if kind in SMOOTH else 0
        return x

    def activate(self, x: Shape, activation: Activation | None = None) -> Shape:
        return self._add_activation(super().activate(x, activation), activation)

    def dense(
        self, x: Shape, units: int, *, activation: Activation = "linear", bias: bool = True
    ) -> Shape:
        output = super().dense(x, units, activation=activation, bias=bias)
        return self._add_activation(output, activation)

    def conv(
        self, x: Shape, filters: int, kernel: Kernel = 3, stride: int = 1, **options: Any
    ) -> Shape:
        before = self.macs
        output = super().conv(x, filters, kernel, stride, **options)
        if options.get("groups", 1) > 1:
            self.grouped += self.macs - before
        elif get_sides(kernel) != (1, 1):
            self.spatial += self.macs - before
        return self._add_activation(output, options.get("activation"))

    def depthwise_conv(
        self, x: Shape, kernel: Kernel = 3, stride: int = 1, **options: Any
    ) -> Shape:
        before = self.macs
        output = super().depthwise_conv(x, kernel, stride, **options)
        self.grouped += self.macs - before
        return self._add_activation(output, options.get("activation"))


def count_work(architecture: Architecture) -> Work:
    """Counts the work of a network.

    Raises:
        ArchitectureError: the architecture cannot be wired; names the place and the rule.
    """
    op = WorkOps(architecture.style)
    architecture.wire(op, Shape(*architecture.input))
    pointwise = op.macs - op.spatial - op.grouped
    return Work(op.spatial, pointwise, op.grouped, op.values, op.smooth, op.count)
