"""The cost of an architecture, by walking its wiring with shapes; no framework needed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.costs import CostKind, list_bounds
from cnnsearch.architecture.counting import CountingOps
from cnnsearch.architecture.device_ops import DeviceOps
from cnnsearch.architecture.operators import DeviceNetwork, lower
from cnnsearch.blocks.ops import Shape
from cnnsearch.errors import ArchitectureError

LABEL_BYTES, CLASS_BYTES = 1100, 24
"""What an export adds to the file for phones and for ``cnnsearch predict``: the description of
input and output, and twice the names of the classes, taken to have ten letters."""


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        params: trainable parameters: kernels, biases, normalization's gamma and beta.
        params_total: the same and the moving statistics; Keras's ``count_params()``.
        macs: multiply-accumulates of convolution and dense layers for one image; padding counts;
            biases, normalization, activation, pooling and joins do not.
        acts: values that convolution and dense layers put out for one image, which memory traffic
            and so latency follow closer than ``macs`` (Radosavovic et al., arXiv:2003.13678).
        peak_activation_bytes: the largest sum of live feature maps of the int8 LiteRT export, the
            image included; see :mod:`cnnsearch.architecture.operators`.
        flash_bytes: about the size of that file.

    Costs are equal if the first four are: the last two may not have been counted.
    """

    params: int
    params_total: int
    macs: int
    acts: int
    peak_activation_bytes: int | None = field(default=None, compare=False)
    flash_bytes: int | None = field(default=None, compare=False)

    @property
    def flops(self) -> int:
        """Floating-point operations: 2 * macs. What most papers print as FLOPs is ``macs``."""
        return 2 * self.macs


@dataclass(frozen=True, kw_only=True)
class PredictedCost(Cost):
    """A count with what a model predicts from it.

    Attributes:
        latency_ms: milliseconds for one image on the device of the search.
    """

    latency_ms: float


def count(architecture: Architecture) -> Cost:
    """Counts parameters and multiply-accumulates, auxiliary heads included.

    Raises:
        ArchitectureError: the architecture cannot be wired; names the place and the rule.
    """
    cost, _ = try_count(architecture)
    if isinstance(cost, ArchitectureError):
        raise cost
    return cost


def count_deployed(architecture: Architecture) -> Cost | None:
    """Counts the network that exports hold, training branches folded; None: the same network."""
    folded = architecture.fold()
    return None if folded == architecture else count(folded)


def try_count(
    architecture: Architecture, device: bool = True
) -> tuple[Cost | ArchitectureError, int]:
    """Returns the cost, or why it cannot be wired; and how many layers were wired to find out.

    Args:
        architecture: the network.
        device: whether to count RAM and flash too, which takes three times as long as the rest.
    """
    if not device:
        return _count_basics(architecture)
    op = DeviceOps(architecture.style)
    try:
        logits = architecture.wire(op, op.begin(Shape(*architecture.input)))
    except ArchitectureError as error:
        return error, op.count
    folded = architecture.fold()
    network = lower(op, logits[0]) if folded is architecture else lower_network(folded)
    flash = network.flash_bytes + LABEL_BYTES + CLASS_BYTES * architecture.classes
    return Cost(
        op.params, op.params + op.frozen, op.macs, op.acts, network.peak_bytes, flash
    ), op.count


def _count_basics(architecture: Architecture) -> tuple[Cost | ArchitectureError, int]:
    op = CountingOps(architecture.style)
    try:
        architecture.wire(op, Shape(*architecture.input))
    except ArchitectureError as error:
        return error, op.count
    return Cost(op.params, op.params + op.frozen, op.macs, op.acts), op.count


def lower_network(architecture: Architecture) -> DeviceNetwork:
    """Returns the operators of the int8 LiteRT export of a network that is folded.

    Raises:
        ArchitectureError: it cannot be wired; names the place and the rule.
    """
    op = DeviceOps(architecture.style)
    return lower(op, architecture.wire(op, op.begin(Shape(*architecture.input)), False)[0])


@dataclass(frozen=True)
class Budget:
    """Bounds that no candidate may exceed; None: no bound.

    Attributes:
        max_params: trainable parameters.
        max_macs: multiply-accumulates for one image.
        max_latency: milliseconds for one image.
        max_ram: bytes of live feature maps.
        max_flash: bytes of the exported file.
    """

    max_params: int | None = None
    max_macs: int | None = None
    max_latency: float | None = None
    max_ram: int | None = None
    max_flash: int | None = None

    @cached_property
    def bounds(self) -> Sequence[tuple[CostKind, float]]:
        """The costs that are bounded, and their bounds."""
        return list_bounds(vars(self))

    @property
    def needs_device(self) -> bool:
        """Whether RAM or flash are bounded."""
        return any(kind.of_device for kind, _ in self.bounds)

    def allows(self, counted: object) -> bool:
        """Whether a count or a trial is within every bound; what is not known is."""
        return all((kind.read(counted) or 0) <= bound for kind, bound in self.bounds)

    def describe(self) -> str:
        """Returns the bounds in words; without any, an empty text."""
        return " and ".join(kind.describe(bound) for kind, bound in self.bounds)
