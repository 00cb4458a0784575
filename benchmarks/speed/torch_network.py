"""A network of ours as a PyTorch module, wired as its Keras model is, to be timed beside it."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.wiring import RecordingOps, Step
from cnnsearch.blocks.geometry import compute_pads, get_sides, resolve_padding
from cnnsearch.blocks.ops import Ops, Shape, Style

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "swish": nn.SiLU}


class TorchNetwork(nn.Module):
    """From pixels (batch, channels, height, width) to logits.

    Raises:
        KeyError: it has a layer that is not among those of the networks that are timed.
    """

    def __init__(self, network: Architecture) -> None:
        super().__init__()
        op = RecordingOps(network.style, Shape(*network.input))
        self._last = network.wire(cast(Ops[Step], op), op.input, False)[0].number
        self._reads = [[step.number for step in each.inputs] for each in op.steps[1:]]
        self.layers = nn.ModuleList([_make_layer(step) for step in op.steps[1:]])

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Computes logits (batch, classes)."""
        maps = [pixels]
        for layer, read in zip(self.layers, self._reads, strict=True):
            maps.append(layer(*[maps[number] for number in read]))
        return maps[self._last].flatten(1)


class _Call(nn.Module):
    """A layer without weights."""

    def __init__(self, compute: Any) -> None:
        super().__init__()
        self._compute = compute

    def forward(self, *maps: torch.Tensor) -> Any:
        return self._compute(*maps)


def _make_layer(step: Step) -> nn.Module:
    options, style, x = step.options, step.style, step.inputs[0].output
    calls: dict[str, Any] = {
        "add": lambda *maps: sum(maps[1:], maps[0]),
        "concat": lambda *maps: torch.cat(maps, 1),
        "global_pool": lambda y: y.mean((2, 3), keepdim=True),
        "flatten": lambda y: y.flatten(1)[:, :, None, None],
        "pad_channels": lambda y: nn.functional.pad(y, (0, 0, 0, 0, 0, step.output.c - x.c)),
    }
    if step.verb in calls:
        return _Call(calls[step.verb])
    if step.verb == "normalize":
        return nn.BatchNorm2d(x.c, eps=style.norm_epsilon)
    if step.verb == "activate":
        return ACTIVATIONS[options["activation"]]()
    if step.verb == "dropout":
        return nn.Dropout(options["rate"])
    if step.verb == "pool":
        size, stride = (options["size"],) * 2, options["stride"]
        pool = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}[options["kind"]]
        empty = float("-inf") if options["kind"] == "max" else 0.0
        pad, rest = _split_padding(compute_pads(x, size, stride, options["padding"]), empty)
        return nn.Sequential(*pad, pool(size, stride, rest))
    return nn.Sequential(*_make_weighted(step, x, style))


def _make_weighted(step: Step, x: Shape, style: Style) -> list[nn.Module]:
    """Returns a convolution or dense layer, and what follows it."""
    options, channels = step.options, step.output.c
    if step.verb == "dense":
        layers: list[nn.Module] = [nn.Conv2d(x.c, channels, 1, bias=options["bias"])]
    else:
        groups = {"conv": options.get("groups"), "depthwise_conv": x.c}[step.verb]
        kernel, stride = get_sides(options["kernel"]), options["stride"]
        padding = resolve_padding(style, options["padding"], kernel, stride)
        pads = compute_pads(x, kernel, stride, padding, options["dilation"])
        pad, rest = _split_padding(pads, 0.0)
        bias = style.conv_bias if options["bias"] is None else options["bias"]
        layers = [*pad, nn.Conv2d(
            x.c, channels, kernel, stride, rest, options["dilation"], groups, bias
        )]  # fmt: skip
        if options["norm"] and style.norm == "batch":
            layers.append(nn.BatchNorm2d(channels, eps=style.norm_epsilon))
    activation = options["activation"]
    name = style.activation if activation is True else activation
    return layers if name in (False, "linear") else [*layers, ACTIVATIONS[name]()]


def _split_padding(pads: Sequence[int], value: float) -> tuple[list[nn.Module], tuple[int, int]]:
    """Returns a layer that pads where sides differ, and what the window's own layer pads."""
    top, left, bottom, right = pads
    if (top, left) == (bottom, right):
        return [], (top, left)
    return [nn.ConstantPad2d((left, right, top, bottom), value)], (0, 0)
