"""The graph of an architecture: a third interpreter of the verbs, after counting and Keras."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import CountingOps
from cnnsearch.blocks.geometry import sides
from cnnsearch.blocks.ops import Activation, Kernel, NormKind, Padding, PoolKind, Shape, Style


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a network.

    Attributes:
        number: in wiring order.
        place: the scope it stands in: ``stem.0``, ``stages.2.1``, ``head``.
        kind: ``conv``, ``max_pool``, ``add`` …; ``input`` for the image.
        detail: what sets it apart from others of its kind: kernel, stride, groups.
        output: shape of what it gives.
        inputs: the steps it reads.
        params: trainable parameters of its own.
        params_total: the same and moving statistics.
        macs: multiply-accumulates of its own.
    """

    number: int
    place: str
    kind: str
    detail: str
    output: Shape
    inputs: tuple["Step", ...] = ()
    params: int = 0
    params_total: int = 0
    macs: int = 0


class _Scope:
    def __init__(self, op: "DrawingOps", name: str) -> None:
        self._op, self._name = op, name

    def __enter__(self) -> None:
        self._outside, self._op.place = self._op.place, self._name

    def __exit__(self, *exception: object) -> None:
        self._op.place = self._outside


class DrawingOps:
    """Interprets the verbs on steps and keeps them in wiring order.

    Normalization and activation belong to the convolution they follow; a bare activation, a
    constant factor and stochastic depth are no steps of their own.

    Args:
        style: the architecture's.
        image: shape of the image.
    """

    def __init__(self, style: Style, image: Shape) -> None:
        self.style = style
        self.place = ""
        self.input = Step(0, "input", "input", "", image)
        self.steps: list[Step] = [self.input]
        self._counter = CountingOps(style)

    def scope(self, name: str, drop_path: float = 0.0) -> AbstractContextManager[object]:
        return _Scope(self, name)

    def shape(self, x: Step) -> Shape:
        return x.output

    def _step(
        self,
        kind: str,
        inputs: Sequence[Step],
        wire: Callable[[CountingOps], Shape],
        detail: str = "",
    ) -> Step:
        count = self._counter
        params, frozen, macs = count.params, count.frozen, count.macs
        output = wire(count)
        learned = count.params - params
        total = learned + count.frozen - frozen
        step = Step(
            len(self.steps), self.place, kind, detail, output, tuple(inputs),
            learned, total, count.macs - macs,
        )  # fmt: skip
        self.steps.append(step)
        return step

    def conv(
        self,
        x: Step,
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
    ) -> Step:
        def wire(count: CountingOps) -> Shape:
            return count.conv(
                x.output, filters, kernel, stride, padding=padding, groups=groups,
                dilation=dilation, bias=bias, norm=norm,
            )  # fmt: skip

        return self._step("conv", [x], wire, _window(kernel, stride, groups, dilation))

    def depthwise_conv(
        self,
        x: Step,
        kernel: Kernel = 3,
        stride: int = 1,
        *,
        multiplier: int = 1,
        padding: Padding = "same",
        dilation: int = 1,
        bias: bool | None = None,
        norm: bool = True,
        activation: bool | Activation = True,
    ) -> Step:
        def wire(count: CountingOps) -> Shape:
            return count.depthwise_conv(
                x.output, kernel, stride, multiplier=multiplier, padding=padding,
                dilation=dilation, bias=bias, norm=norm,
            )  # fmt: skip

        return self._step("depthwise_conv", [x], wire, _window(kernel, stride, 1, dilation))

    def dense(
        self, x: Step, units: int, *, activation: Activation = "linear", bias: bool = True
    ) -> Step:
        return self._step("dense", [x], lambda count: count.dense(x.output, units, bias=bias))

    def normalize(self, x: Step, kind: NormKind | None = None) -> Step:
        kind = kind or self.style.norm
        if kind == "none":
            return x
        return self._step("norm", [x], lambda count: count.normalize(x.output, kind), kind)

    def local_response_norm(self, x: Step) -> Step:
        return self._step("local_response_norm", [x], lambda _: x.output)

    def activate(self, x: Step, activation: Activation | None = None) -> Step:
        return x

    def pool(
        self, x: Step, kind: PoolKind, size: int = 2, stride: int = 2, padding: Padding = "same"
    ) -> Step:
        def wire(count: CountingOps) -> Shape:
            return count.pool(x.output, kind, size, stride, padding)

        return self._step(f"{kind}_pool", [x], wire, _window(size, stride))

    def global_pool(self, x: Step, kind: PoolKind = "avg") -> Step:
        return self._step(f"global_{kind}_pool", [x], lambda count: count.global_pool(x.output))

    def flatten(self, x: Step) -> Step:
        return self._step("flatten", [x], lambda count: count.flatten(x.output))

    def add(self, xs: Sequence[Step]) -> Step:
        return self._joined("add", xs, lambda count: count.add([x.output for x in xs]))

    def mean(self, xs: Sequence[Step], drop_path: float = 0.0) -> Step:
        return self._joined("mean", xs, lambda count: count.mean([x.output for x in xs]))

    def concat(self, xs: Sequence[Step]) -> Step:
        return self._joined("concat", xs, lambda count: count.concat([x.output for x in xs]))

    def _joined(self, kind: str, xs: Sequence[Step], wire: Callable[[CountingOps], Shape]) -> Step:
        return self._step(kind, xs, wire) if len(xs) > 1 else xs[0]

    def multiply(self, x: Step, gate: Step) -> Step:
        return self._step("multiply", [x, gate], lambda c: c.multiply(x.output, gate.output))

    def select(self, x: Step, channels: Sequence[int]) -> Step:
        def wire(count: CountingOps) -> Shape:
            return count.select(x.output, channels)

        return self._step("select", [x], wire, f"{len(channels)} of {x.output.c}")

    def pad_channels(self, x: Step, channels: int) -> Step:
        if channels == x.output.c:
            return x
        return self._step("pad_channels", [x], lambda c: c.pad_channels(x.output, channels))

    def space_to_depth(self, x: Step, block: int = 2) -> Step:
        return self._step(
            "space_to_depth", [x], lambda c: c.space_to_depth(x.output, block), f"/{block}"
        )

    def scale(self, x: Step, factor: float) -> Step:
        return x

    def affine(self, x: Step, *, bias: bool, initial: float = 1.0) -> Step:
        return self._step("affine", [x], lambda count: count.affine(x.output, bias=bias))

    def dropout(self, x: Step, rate: float) -> Step:
        return self._step("dropout", [x], lambda _: x.output, f"{rate:g}") if rate else x

    def drop_path(self, x: Step) -> Step:
        return x

    def rbf(self, x: Step, classes: int) -> Step:
        return self._step("rbf", [x], lambda count: count.rbf(x.output, classes))


def _window(kernel: Kernel, stride: int, groups: int = 1, dilation: int = 1) -> str:
    """``3x3 /2, 32 groups``."""
    height, width = sides(kernel)
    text = f"{height}x{width}" + (f" /{stride}" if stride > 1 else "")
    text += f", {groups} groups" if groups > 1 else ""
    return text + (f", dilation {dilation}" if dilation > 1 else "")


def trace(architecture: Architecture) -> list[Step]:
    """Returns the steps of a network in wiring order, the image first, auxiliary heads last.

    Raises:
        ArchitectureError: it cannot be wired; says where and why.
    """
    op = DrawingOps(architecture.style, Shape(*architecture.input))
    architecture.wire(op, op.input)
    return op.steps
