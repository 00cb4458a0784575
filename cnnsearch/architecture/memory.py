"""Peak memory of a network's feature maps on a device, from its wiring; no framework needed.

Phones and microcontrollers run a network operator by operator. A feature map takes memory from the
operator that writes it until the last one that reads it has run; the peak of the sum decides
whether the network fits (μNAS, arXiv:2010.14246; MCUNet, arXiv:2007.10319).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.wiring import Step, trace

Convention = Literal["plain", "inplace_add", "inplace_depthwise"]
"""Which operators overwrite an input that nothing reads later: none (LiteRT), additions, or
depthwise convolutions (TinyEngine, arXiv:2110.15352)."""

_IN_PLACE: Final[Mapping[Convention, str | None]] = MappingProxyType(
    {"plain": None, "inplace_add": "add", "inplace_depthwise": "depthwise_conv"}
)
_COMPUTING: Final = ("conv", "depthwise_conv", "dense")
_FUSED: Final = ("normalize", "affine")
"""Merged into the weights of a convolution or dense layer whose output nothing else reads."""


def count_peaks(architecture: Architecture) -> dict[Convention, int]:
    """Returns the largest sum of live feature maps, in bytes, under each convention.

    One byte a value, as after int8 quantization; the image counts, weights do not, and neither do
    auxiliary heads. Normalization, activation and dropout are merged into the convolution before
    them, and branches that exports fold are folded.

    Raises:
        ArchitectureError: it cannot be wired; names the place and the rule.
    """
    operators = _merge(trace(architecture.fold(), auxiliary=False))
    return {name: find_peak(operators, verb) for name, verb in _IN_PLACE.items()}


def find_peak(operators: Sequence[tuple[Step, tuple[Step, ...]]], in_place: str | None) -> int:
    """Returns the peak of a sequence of operators, each with the maps that it reads."""
    readers = Counter(read for _, inputs in operators for read in set(inputs))
    live, peak = 0, 0
    for written, inputs in operators:
        live += _size(written)
        dying = [read for read in set(inputs) if readers[read] == 1]
        readers.subtract(set(inputs))
        overwritten = max(map(_size, dying), default=0) if written.verb == in_place else 0
        peak = max(peak, live - min(overwritten, _size(written)))
        live -= sum(map(_size, dying))
    return peak


def _merge(steps: Sequence[Step]) -> list[tuple[Step, tuple[Step, ...]]]:
    """Returns the operators that a converter keeps, in order, each with the maps that it reads."""
    readers = Counter(read for step in steps for read in step.inputs)
    source: dict[Step, Step] = {}
    operators = []
    for step in steps:
        inputs = tuple(source.get(read, read) for read in step.inputs)
        before = inputs[0] if inputs else None
        alone = before is not None and readers[step.inputs[0]] == 1
        if step.verb == "dropout" or (
            step.verb in _FUSED and alone and before and before.verb in _COMPUTING
        ):
            source[step] = inputs[0]
        else:
            operators.append((step, inputs))
    return operators


def _size(step: Step) -> int:
    return step.output.h * step.output.w * step.output.c
