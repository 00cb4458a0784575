"""Records what a device has to run, beside the cost, in one walk over the wiring."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from cnnsearch.architecture.counting import CountingOps
from cnnsearch.blocks.geometry import compute_pads, get_sides, is_ceil_same, resolve_padding
from cnnsearch.blocks.ops import Activation, Kernel, NormKind, Padding, PoolKind, Shape, Style

CHANNEL_BYTES: Final = 4 + 8
"""Of a convolution's output channel in a file: its bias, and the scales of both."""


class Map(Shape):
    """A shape that knows the step that wrote it."""

    step: int


class Step(NamedTuple):
    """A step before operators are merged.

    Attributes:
        kind: what it computes.
        size: values of its output.
        inputs: steps whose output it reads.
        weights: bytes of its weights; of the image, its channels.
        name: place, kind and number of its Keras layer.
        positions: of its output.
    """

    kind: str
    size: int
    inputs: tuple[int, ...]
    weights: int
    name: tuple[str, str, int]
    positions: int


class DeviceOps(CountingOps):
    """Counts cost, and keeps the steps that a device runs."""

    def __init__(self, style: Style) -> None:
        super().__init__(style)
        self.steps: list[Step] = []
        self._place = ""
        self._names: dict[tuple[str, str], int] = {}

    def begin(self, image: Shape) -> Map:
        """Returns the map of normalized pixels."""
        return self._emit("image", image, (), image.c)

    def scope(self, name: str, drop_path: float = 0.0) -> AbstractContextManager[object]:
        self._place = name  # places are never nested
        return super().scope(name, drop_path)

    def _count_name(self, layer: str) -> tuple[str, str, int]:
        """Counts a layer as KerasOps does, whose name for it is made of these parts."""
        key = self._place, layer
        self._names[key] = number = self._names.get(key, 0) + 1
        return self._place, layer, number

    def _emit(
        self, kind: str, output: Shape, inputs: Sequence[Shape], weights: int = 0, layer: str = ""
    ) -> Map:
        read = tuple([x.step for x in inputs])  # type: ignore[attr-defined]
        height, width, channels = output
        found = tuple.__new__(Map, output)
        found.step = len(self.steps)
        size, name = height * width * channels, self._count_name(layer or kind)
        step = (kind, size, read, weights, name, height * width)
        self.steps.append(tuple.__new__(Step, step))  # faster than by its fields
        return found

    def _finish(self, x: Shape, norm: bool, activation: bool | Activation) -> Shape:
        kind = self.style.norm
        if norm and kind == "batch":
            self._count_name(kind)  # it is merged into the convolution
        elif norm and kind != "none":
            x = self._emit(kind, x, (x,))
        if activation is False or activation == "linear":
            return x
        return self._emit(self.style.activation if activation is True else activation, x, (x,))

    def _pad(self, x: Shape, kernel: Kernel, stride: int, padding: Padding) -> Shape:
        found = resolve_padding(self.style, padding, kernel, stride)
        if isinstance(found, str) or not any(rows := get_sides(found)):
            return x
        return self._emit("pad", Shape(x.h + 2 * rows[0], x.w + 2 * rows[1], x.c), (x,))

    def conv(
        self,
        x: Shape,
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
    ) -> Shape:
        output = super().conv(
            x, filters, kernel, stride, padding=padding, groups=groups, dilation=dilation,
            bias=bias, norm=norm, activation=activation,
        )  # fmt: skip
        kh, kw = get_sides(kernel)
        weights = filters * (kh * kw * (x.c // groups) + CHANNEL_BYTES)
        x = self._pad(x, kernel, stride, padding)
        return self._finish(self._emit("conv", output, (x,), weights), norm, activation)

    def depthwise_conv(
        self,
        x: Shape,
        kernel: Kernel = 3,
        stride: int = 1,
        *,
        multiplier: int = 1,
        padding: Padding = "same",
        dilation: int = 1,
        bias: bool | None = None,
        norm: bool = True,
        activation: bool | Activation = True,
    ) -> Shape:
        output = super().depthwise_conv(
            x, kernel, stride, multiplier=multiplier, padding=padding, dilation=dilation,
            bias=bias, norm=norm, activation=activation,
        )  # fmt: skip
        kh, kw = get_sides(kernel)
        weights = x.c * multiplier * (kh * kw + CHANNEL_BYTES)
        x = self._pad(x, kernel, stride, padding)
        return self._finish(self._emit("depthwise_conv", output, (x,), weights), norm, activation)

    def channel_conv(self, x: Shape, kernel: int) -> Shape:
        return self._emit("conv", super().channel_conv(x, kernel), (x,), kernel)

    def dense(
        self, x: Shape, units: int, *, activation: Activation = "linear", bias: bool = True
    ) -> Shape:
        output = super().dense(x, units, activation=activation, bias=bias)
        weights = units * (x.c + CHANNEL_BYTES)
        return self._finish(self._emit("dense", output, (x,), weights), False, activation)

    def normalize(self, x: Shape, kind: NormKind | None = None) -> Shape:
        output, kind = super().normalize(x, kind), kind or self.style.norm
        return output if kind == "none" else self._emit(kind, output, (x,), 2 * x.c)

    def local_response_norm(self, x: Shape) -> Shape:
        return self._emit("local_response_norm", super().local_response_norm(x), (x,))

    def activate(self, x: Shape, activation: Activation | None = None) -> Shape:
        super().activate(x, activation)
        return self._finish(x, False, activation or True)

    def pool(
        self, x: Shape, kind: PoolKind, size: int = 2, stride: int = 2, padding: Padding = "same"
    ) -> Shape:
        output = super().pool(x, kind, size, stride, padding)
        if padding == "ceil":
            x = self._pad_far(x, kind, size, stride)
        elif padding == "zeros":
            top, left, bottom, right = compute_pads(x, (size, size), stride, padding)
            if any((top, left, bottom, right)):
                padded = Shape(x.h + top + bottom, x.w + left + right, x.c)
                x = self._emit("pad", padded, (x,))
        elif not isinstance(padding, str):
            x = self._pad(x, size, stride, padding)
        return self._emit(f"{kind}_pool {size}", output, (x,), layer=f"{kind}_pool")

    def _pad_far(self, x: Shape, kind: PoolKind, size: int, stride: int) -> Shape:
        """Pads as KerasOps does: a row at a time where the maximum is taken."""
        _, _, rows, columns = compute_pads(x, (size, size), stride, "ceil")
        if kind == "max" and is_ceil_same(x, size, stride):
            return x
        if kind == "avg" and (rows or columns):
            return self._emit("pad", Shape(x.h + rows, x.w + columns, x.c), (x,), layer="pad_far")
        for number in range(max(rows, columns)):
            padded = Shape(x.h + (rows > number), x.w + (columns > number), x.c)
            x = self._emit("pad", padded, (x,), layer="mirror_pad")
        return x

    def global_pool(self, x: Shape, kind: PoolKind = "avg") -> Shape:
        return self._emit("global_pool", super().global_pool(x, kind), (x,))

    def flatten(self, x: Shape) -> Shape:
        return self._emit("flatten", super().flatten(x), (x,))

    def add(self, xs: Sequence[Shape]) -> Shape:
        return self._join(xs, super().add(xs), "add")

    def _join(self, xs: Sequence[Shape], output: Shape, layer: str) -> Shape:
        total = xs[0]
        for x in xs[1:]:
            total = self._emit("add", output, (total, x), layer=layer)
        return total

    def mean(self, xs: Sequence[Shape], drop_path: float = 0.0) -> Shape:
        total = self._join(xs, super().mean(xs, drop_path), "mean")
        return self._emit("scale", total, (total,), layer="mean") if len(xs) > 1 else total

    def multiply(self, x: Shape, gate: Shape) -> Shape:
        return self._emit("multiply", super().multiply(x, gate), (x, gate))

    def concat(self, xs: Sequence[Shape]) -> Shape:
        output = super().concat(xs)
        return self._emit("concat", output, xs) if len(xs) > 1 else xs[0]

    def select(self, x: Shape, channels: Sequence[int]) -> Shape:
        return self._emit("select", super().select(x, channels), (x,), 4 * len(channels))

    def pad_channels(self, x: Shape, channels: int) -> Shape:
        output = super().pad_channels(x, channels)
        return x if output == x else self._emit("pad", output, (x,), layer="pad_channels")

    def shift(self, x: Shape) -> Shape:
        return self._emit("slice", x, (self._emit("pad", Shape(x.h + 1, x.w + 1, x.c), (x,)),))

    def space_to_depth(self, x: Shape, block: int = 2) -> Shape:
        return self._emit("space_to_depth", super().space_to_depth(x, block), (x,))

    def scale(self, x: Shape, factor: float) -> Shape:
        return self._emit("scale", x, (x,))

    def affine(self, x: Shape, *, bias: bool, initial: float = 1.0) -> Shape:
        output = super().affine(x, bias=bias, initial=initial)
        return self._emit("batch" if bias else "affine", output, (x,), x.c * (1 + bias))

    def rbf(self, x: Shape, classes: int) -> Shape:
        return self._emit("rbf", super().rbf(x, classes), (x,), x.c * classes)
