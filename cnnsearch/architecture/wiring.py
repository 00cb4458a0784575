"""The wiring of an architecture, recorded step by step: for cost tables, drawings and identity."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, isfunction, signature
from types import MappingProxyType
from typing import Any, Final, cast

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.counting import CountingOps
from cnnsearch.blocks.geometry import get_sides, resolve_padding
from cnnsearch.blocks.ops import Ops, Shape, Style

_UNWEIGHTED: Final = ("activate", "scale", "drop_path")  # no steps of their own in a table
_READ: Final = ("x", "gate")
_JOINS: Final = ("add", "mean", "concat")
_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        verb: tuple(signature(method).parameters)[1:]
        for verb, method in vars(Ops).items()
        if isfunction(method) and not verb.startswith("_") and verb not in ("scope", "shape")
    }
)
"""Parameters of each verb, in their order."""
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        verb: {
            name: parameter.default
            for name, parameter in signature(vars(Ops)[verb]).parameters.items()
            if parameter.default is not Parameter.empty
        }
        for verb in _NAMES
    }
)


_DEFAULT_STYLE: Final = Style()


@dataclass(eq=False, slots=True)  # not frozen, which costs more than the counting
class Step:
    """One step of a network.

    Attributes:
        number: in wiring order.
        place: its scope: ``stem.0``, ``stages.2.1``, ``head``.
        verb: the method of ``Ops``; ``input`` for the image.
        options: its arguments but for the maps it reads.
        inputs: the steps whose output it reads.
        output: shape of its output.
        params: trainable parameters of its own.
        params_total: the same and moving statistics.
        macs: multiply-accumulates of its own.
        acts: output values, if it is a convolution or dense layer.
        style: in force where it stands.
    """

    number: int
    place: str
    verb: str
    options: Mapping[str, Any]
    inputs: tuple["Step", ...]
    output: Shape
    params: int = 0
    params_total: int = 0
    macs: int = 0
    acts: int = 0
    style: Style = _DEFAULT_STYLE

    @property
    def kind(self) -> str:
        """What it is: ``conv``, ``max_pool``, ``norm``, ``add``."""
        if self.verb in ("pool", "global_pool"):
            return self.verb.replace("pool", f"{self.options['kind']}_pool")
        if self.verb == "activate":
            return str(self.options["activation"])
        return "norm" if self.verb == "normalize" else self.verb

    @property
    def detail(self) -> str:
        """What sets it apart from others of its kind: ``3x3 /2, 32 groups``."""
        options = self.options
        if self.verb in ("conv", "depthwise_conv", "pool"):
            return _describe_window(options)
        if self.verb == "select":
            return f"{len(options['channels'])} of {self.inputs[0].output.c}"
        formats = {"normalize": "{kind}", "space_to_depth": "/{block}", "dropout": "{rate:g}"}
        return formats.get(self.verb, "").format(**options)

    @property
    def finish(self) -> str:
        """What follows a convolution or dense layer: ``bias, batch norm, relu``."""
        options, style = self.options, self.style
        if self.verb not in ("conv", "depthwise_conv", "dense"):
            return ""
        norm = style.norm if options.get("norm") else "none"
        bias = style.conv_bias if options["bias"] is None else options["bias"]
        activation = _resolve_activation(options["activation"], style)
        words = ["bias"] * bias + [f"{norm} norm"] * (norm != "none")
        return ", ".join([*words, *[activation] * (activation != "linear")])


def _describe_window(options: Mapping[str, Any]) -> str:
    height, width = get_sides(options.get("kernel") or options["size"])
    text = f"{height}x{width}" + (f" /{options['stride']}" if options["stride"] > 1 else "")
    groups, dilation = options.get("groups", 1), options.get("dilation", 1)
    text += f", {groups} groups" if groups > 1 else ""
    return text + (f", dilation {dilation}" if dilation > 1 else "")


class RecordingOps:
    """Interprets the verbs as steps, and keeps those that change something in wiring order.

    It takes every verb of ``Ops`` by its name, so that a new verb needs no line here.

    Args:
        style: the architecture's.
        image: shape of the image.
        hidden: verbs that are no steps.
    """

    def __init__(self, style: Style, image: Shape, hidden: Sequence[str] = ()) -> None:
        self.input = Step(0, "input", "input", {}, (), image)
        self.steps = [self.input]
        self._counter = CountingOps(style)
        self._hidden = hidden
        self._place, self._drop_path = "", 0.0

    @property
    def style(self) -> Style:
        """The style in force; the counter's too."""
        return self._counter.style

    @style.setter
    def style(self, style: Style) -> None:
        self._counter.style = style

    @contextmanager
    def scope(self, name: str, drop_path: float = 0.0) -> Iterator[None]:
        outside = self._place, self._drop_path
        self._place, self._drop_path = name, drop_path
        try:
            yield
        finally:
            self._place, self._drop_path = outside

    def shape(self, x: Step) -> Shape:
        return x.output

    def __getattr__(self, verb: str) -> Any:
        if verb not in _DEFAULTS:
            raise AttributeError(verb)
        return partial(self._record, verb)

    def _record(self, verb: str, *arguments: Any, **named: Any) -> Step:
        options = {**_DEFAULTS[verb], **dict(zip(_NAMES[verb], arguments, strict=False)), **named}
        read: list[Step] = list(options.pop("xs", ()))
        read += [options.pop(name) for name in _READ if name in options]
        counter = self._counter
        params, frozen, macs, acts = counter.params, counter.frozen, counter.macs, counter.acts
        shapes = [step.output for step in read]
        inputs = [shapes] if verb in _JOINS else shapes
        output = getattr(counter, verb)(*inputs, **options)
        is_hidden = verb in self._hidden and counter.params == params
        if is_hidden or self._is_identity(verb, options, read, output):
            return read[0]
        if verb == "drop_path":
            options["rate"] = self._drop_path
        if verb == "normalize":
            options["kind"] = options["kind"] or self.style.norm
        if verb == "activate":
            options["activation"] = options["activation"] or self.style.activation
        params, frozen = counter.params - params, counter.frozen - frozen
        step = Step(
            len(self.steps), self._place, verb, options, tuple(read), output,
            params, params + frozen, counter.macs - macs, counter.acts - acts, self.style,
        )  # fmt: skip
        self.steps.append(step)
        return step

    def _is_identity(
        self, verb: str, options: Mapping[str, Any], read: Sequence[Step], output: Shape
    ) -> bool:
        if verb in _JOINS:
            return len(read) == 1
        if verb == "normalize":
            return (options["kind"] or self.style.norm) == "none"
        if verb == "activate":
            return (options["activation"] or self.style.activation) == "linear"
        if verb == "pad_channels":
            return output == read[0].output
        rates = {"dropout": options.get("rate"), "drop_path": self._drop_path}
        return rates.get(verb, 1.0) == 0.0


def trace(architecture: Architecture, auxiliary: bool = True) -> list[Step]:
    """Returns the steps of a network in wiring order, the image first.

    Normalization and activation belong to the convolution they follow; a bare activation, a
    constant factor and stochastic depth are no steps of their own.

    Raises:
        ArchitectureError: it cannot be wired; names the place and the rule.
    """
    op = RecordingOps(architecture.style, Shape(*architecture.input), _UNWEIGHTED)
    architecture.wire(cast(Ops[Step], op), op.input, auxiliary)
    return op.steps


def fingerprint_wiring(architecture: Architecture) -> str:
    """Returns 16 hexadecimal digits that are equal exactly for networks that are wired equally.

    What is not wired does not count: names, stages of depth 0, a width that a block ignores, a way
    of downsampling where nothing strides, a style that no layer takes. Two networks whose layers
    merely compute the same (a padding given as a number and as ``same``) are different.

    Raises:
        ArchitectureError: it cannot be wired; names the place and the rule.
    """
    op = RecordingOps(architecture.style, Shape(*architecture.input))
    heads = architecture.wire(cast(Ops[Step], op), op.input)
    extra = sorted(architecture.auxiliary, key=lambda head: head.after)  # the order of their wiring
    steps = [identify(step) for step in op.steps]
    outputs = [head.number for head in heads], [head.weight for head in extra]
    return hashlib.sha256(repr((steps, outputs)).encode()).hexdigest()[:16]


def identify(step: Step) -> tuple[object, ...]:
    """Returns what makes a step what it is, equal exactly for steps that are wired equally."""
    inputs = [i.number for i in step.inputs]
    return step.verb, step.output, inputs, _resolve(step, step.style)


def _resolve(step: Step, style: Style) -> list[tuple[str, Any]]:
    """Returns what a step's options mean, with the style's defaults filled in."""
    options = dict(step.options)
    if step.verb == "select":
        options["channels"] = list(options["channels"])
    if step.verb in ("conv", "depthwise_conv"):
        kernel = options["kernel"] = get_sides(options["kernel"])
        options["padding"] = resolve_padding(style, options["padding"], kernel, options["stride"])
        options["bias"] = style.conv_bias if options["bias"] is None else options["bias"]
        options["norm"] = _resolve_norm(style.norm if options["norm"] else "none", style)
        options["activation"] = _resolve_activation(options["activation"], style)
    elif step.verb == "normalize":
        options["kind"] = _resolve_norm(options["kind"], style)
    elif step.verb == "activate":
        options["activation"] = _resolve_activation(options["activation"] or True, style)
    if isinstance(options.get("padding"), int):
        options["padding"] = (options["padding"],) * 2
    return sorted(options.items())


def _resolve_norm(kind: str, style: Style) -> object:
    groups = (style.norm_groups,) if kind == "group" else ()
    return "none" if kind == "none" else (kind, style.norm_epsilon, style.norm_scale, *groups)


def _resolve_activation(activation: bool | str, style: Style) -> str:
    if isinstance(activation, str):
        return activation
    return style.activation if activation else "linear"
