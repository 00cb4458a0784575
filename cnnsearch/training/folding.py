"""Folds the training branches of trained networks: one convolution instead of a sum of several.

Convolution and batch normalization are linear at inference, so a sum of them on one input is one
convolution with a bias (Ding et al., arXiv:2101.03697, section 3.3). Which blocks have such sums is
their own affair, see :meth:`cnnsearch.blocks.base.Block.fold`; this module reads the wiring before
and after, and computes in double precision.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, cast

import numpy as np

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.wiring import RecordingOps, Step
from cnnsearch.blocks.ops import Ops, Shape
from cnnsearch.errors import ExportError
from cnnsearch.training.checkpoint import Array

CONVOLUTIONS = ("conv", "depthwise_conv")


class _Layers(NamedTuple):
    """The names that Keras's layers of one step have."""

    layer: str
    norm: str


class _Linear(NamedTuple):
    """A convolution: kernel (rows, columns, inputs a group, outputs) and bias.

    The kernel of a scaled identity is one coefficient per channel.
    """

    kernel: Array
    bias: Array


def fold_weights(
    architecture: Architecture, folded: Architecture, weights: Mapping[str, Array]
) -> dict[str, Array]:
    """Returns the weights of ``folded``, which computes what ``architecture`` does at inference.

    Args:
        architecture: the network as it was trained.
        folded: its :meth:`~cnnsearch.architecture.architecture.Architecture.fold`.
        weights: arrays by the paths of Keras's variables.
    """
    before, after = _record(architecture), _record(folded)
    found = dict(weights)
    for place, steps in before.items():
        if _describe(steps) == _describe(after[place]):
            continue
        gone = {name for _, layers in steps for name in layers}
        found = {path: found[path] for path in found if path.rpartition("/")[0] not in gone}
        found |= _fold_place(steps, after[place], weights)
    return found


def _fold_place(
    before: Sequence[tuple[Step, _Layers]],
    after: Sequence[tuple[Step, _Layers]],
    weights: Mapping[str, Array],
) -> Iterator[tuple[str, Array]]:
    """Yields paths and arrays: each convolution of ``after`` is a sum, or stands alone, before."""
    names = dict(before)
    summed = {each for step in names if step.verb == "add" for each in step.inputs}
    wholes = [
        step
        for step in names
        if step.verb == "add" or (step.verb in CONVOLUTIONS and step not in summed)
    ]
    targets = [(step, layers) for step, layers in after if step.verb in CONVOLUTIONS]
    for whole, (step, layers) in zip(wholes, targets, strict=True):
        parts = whole.inputs if whole.verb == "add" else (whole,)
        kernel, bias = _add_up([_read(each, names.get(each), weights) for each in parts])
        if step.verb == "depthwise_conv":
            kernel = kernel.transpose(0, 1, 3, 2)
        yield f"{layers.layer}/kernel", kernel.astype(np.float32)
        yield f"{layers.layer}/bias", bias.astype(np.float32)


def _read(step: Step, layers: _Layers | None, weights: Mapping[str, Array]) -> _Linear:
    """A convolution with its normalization, a normalization alone, or the input itself."""
    kernel, bias = np.ones(step.output.c), np.zeros(step.output.c)
    if layers is None or step.verb not in (*CONVOLUTIONS, "normalize"):
        return _Linear(kernel, bias)
    if step.verb in CONVOLUTIONS:
        kernel = _get(weights, f"{layers.layer}/kernel")
        kernel = kernel.transpose(0, 1, 3, 2) if step.verb == "depthwise_conv" else kernel
        bias = np.asarray(weights.get(f"{layers.layer}/bias", bias), np.float64)
    if not layers.norm:
        return _Linear(kernel, bias)
    gain = 1 / np.sqrt(_get(weights, f"{layers.norm}/moving_variance") + step.style.norm_epsilon)
    gain = gain * _get(weights, f"{layers.norm}/gamma") if step.style.norm_scale else gain
    offset = _get(weights, f"{layers.norm}/beta")
    return _Linear(
        kernel * gain, (bias - _get(weights, f"{layers.norm}/moving_mean")) * gain + offset
    )


def _add_up(parts: Sequence[_Linear]) -> _Linear:
    """The sum of convolutions around one centre; identities become 1x1 kernels."""
    shapes = [part.kernel.shape for part in parts if part.kernel.ndim > 1]
    rows, columns, inputs, outputs = (max(sides) for sides in zip(*shapes, strict=True))
    total = np.zeros((rows, columns, inputs, outputs))
    for kernel, _ in parts:
        if kernel.ndim == 1:
            own = np.arange(outputs)
            total[rows // 2, columns // 2, own % inputs, own] += kernel
            continue
        top, left = (rows - kernel.shape[0]) // 2, (columns - kernel.shape[1]) // 2
        total[top : top + kernel.shape[0], left : left + kernel.shape[1]] += kernel
    return _Linear(total, np.sum([part.bias for part in parts], axis=0))


def _get(weights: Mapping[str, Array], path: str) -> Array:
    if path not in weights:
        raise ExportError(f"the weights have no {path}: they belong to another network")
    return np.asarray(weights[path], np.float64)


def _describe(steps: Sequence[tuple[Step, _Layers]]) -> list[tuple[str, str]]:
    return [(step.verb, layers.norm) for step, layers in steps]


def _record(architecture: Architecture) -> dict[str, list[tuple[Step, _Layers]]]:
    """Returns the steps of each place, with the names of their layers in Keras."""
    op = RecordingOps(architecture.style, Shape(*architecture.input))
    architecture.wire(cast(Ops[Step], op), op.input)
    places = groupby(op.steps[1:], key=lambda step: step.place)
    return {place: _name_layers(place, list(steps)) for place, steps in places}


def _name_layers(place: str, steps: Sequence[Step]) -> list[tuple[Step, _Layers]]:
    made: Counter[str] = Counter()

    def claim(kind: str) -> str:
        made[kind] += 1
        return f"{place}.{kind}" + (f"_{made[kind]}" if made[kind] > 1 else "")

    named = []
    for step in steps:
        layer = claim(step.verb) if step.verb in CONVOLUTIONS else ""
        normalized = step.verb == "normalize" or bool(layer and step.options["norm"])
        norm = claim("batch_norm") if normalized and step.style.norm == "batch" else ""
        named.append((step, _Layers(layer, norm)))
    return named
