"""Compound scaling: depth, width and resolution in fixed proportion (Tan & Le, arXiv:1905.11946).

At phi, depth grows by alpha^phi, width by beta^phi and resolution by gamma^phi; multiply-adds grow
by (alpha * beta^2 * gamma^2)^phi, about 2^phi with the paper's coefficients. The published
EfficientNet-B1 to B7 are *not* that formula at phi = 1 to 7: their authors rounded each model's
factors by hand (:data:`EFFICIENTNET`).
"""

import json
import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import Budget, count
from cnnsearch.architecture.stages import Stage
from cnnsearch.blocks import Rounding
from cnnsearch.errors import ArchitectureError, BudgetError, suggest
from cnnsearch.utils.validation_errors import explain

LARGEST_PHI = 20.0
STEPS_OF_PHI = 1000
"""Resolution of :meth:`CompoundScaling.find_phi`: thousandths."""
SHIFTS = 32
"""Pixels that a resolution may move to one that can be wired."""

Coefficient = Annotated[float, Field(ge=1.0, le=4.0)]
Phi = Annotated[float, Field(ge=-LARGEST_PHI, le=LARGEST_PHI)]


class Factors(NamedTuple):
    """Multipliers of one published model, its image side in pixels, its head's dropout."""

    width: float
    depth: float
    side: int
    dropout: float


EFFICIENTNET: Final[Mapping[str, Factors]] = MappingProxyType(
    {
        "b0": Factors(1.0, 1.0, 224, 0.2),
        "b1": Factors(1.0, 1.1, 240, 0.2),
        "b2": Factors(1.1, 1.2, 260, 0.3),
        "b3": Factors(1.2, 1.4, 300, 0.3),
        "b4": Factors(1.4, 1.8, 380, 0.4),
        "b5": Factors(1.6, 2.2, 456, 0.4),
        "b6": Factors(1.8, 2.6, 528, 0.5),
        "b7": Factors(2.0, 3.1, 600, 0.5),
    }
)
"""The factors of the authors' code; B0 scaled by them has the published counts to the digit."""


class CompoundScaling(BaseModel):
    """The proportion in which depth, width and resolution grow.

    Attributes:
        alpha: of depth, at phi = 1.
        beta: of width.
        gamma: of resolution.
        divisor: widths become multiples of it, and never lose more than a tenth by that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    alpha: Coefficient = 1.2
    beta: Coefficient = 1.1
    gamma: Coefficient = 1.15
    divisor: Annotated[int, Field(ge=1, le=1024)] = 8

    @property
    def growth(self) -> float:
        """By how much multiply-adds grow at phi = 1: alpha * beta^2 * gamma^2."""
        return self.alpha * self.beta**2 * self.gamma**2

    def scale(self, architecture: Architecture, phi: float) -> Architecture:
        """Returns ``architecture`` scaled by ``phi``; 0 leaves it as it is.

        Depth is rounded up: shallow networks grow by well more than the formula says.

        Raises:
            ArchitectureError: phi is out of range, or a depth, width or side beyond its limit.
        """
        if not -LARGEST_PHI <= phi <= LARGEST_PHI:
            most = f"{LARGEST_PHI:g}"
            raise ArchitectureError(f"phi: expected a number from -{most} to {most}, got {phi:g}")
        try:
            return scale_by(
                architecture,
                depth=self.alpha**phi,
                width=self.beta**phi,
                resolution=self.gamma**phi,
                divisor=self.divisor,
            )
        except ArchitectureError as error:
            raise ArchitectureError(f"phi = {phi:g}: {error}") from None

    def find_phi(self, architecture: Architecture, budget: Budget | int) -> float:
        """Returns the largest phi, in thousandths, whose network is within a budget.

        Args:
            architecture: the network at phi = 0.
            budget: bounds; a number: of MACs.

        Raises:
            BudgetError: the network costs more as it is.
        """
        limits = Budget(max_macs=budget) if isinstance(budget, int) else budget
        check_budget(architecture, 0.0, limits)

        def fits(step: int) -> bool:
            try:
                return limits.allows(count(self.scale(architecture, step / STEPS_OF_PHI)))
            except ArchitectureError:
                return False

        low, high = 0, STEPS_OF_PHI
        while high < LARGEST_PHI * STEPS_OF_PHI and fits(high):
            low, high = high, high + STEPS_OF_PHI
        first = bisect_left(range(high), True, lo=low + 1, key=lambda step: not fits(step))
        return (first - 1) / STEPS_OF_PHI


class Scaling(CompoundScaling):
    """The ``scaling`` section of a space file: coefficients and phi.

    Attributes:
        phi: the exponent; 0 changes nothing, negative numbers shrink.
    """

    phi: Phi = 1.0

    @classmethod
    def from_data(cls, data: object, source: str = "scaling") -> Self:
        """Reads plain data.

        Raises:
            ArchitectureError: one line: source, key, rule and value.
        """
        if not isinstance(data, Mapping):
            rule = "expected a mapping of phi, alpha, beta, gamma and divisor"
            raise ArchitectureError(f"{source}: scaling: {rule}, got {data!r}")
        try:
            return cls.model_validate_json(json.dumps(data))
        except ValidationError as error:
            raise ArchitectureError(f"{source}: scaling.{explain(error, data, cls)}") from None

    def apply(self, architecture: Architecture, source: str = "scaling") -> Architecture:
        """Returns ``architecture`` scaled; ``source`` names the file in messages."""
        try:
            return self.scale(architecture, self.phi)
        except ArchitectureError as error:
            raise ArchitectureError(f"{source}: scaling: {error}") from None


def scale_by(
    architecture: Architecture,
    *,
    width: float = 1.0,
    depth: float = 1.0,
    resolution: float = 1.0,
    dropout: float | None = None,
    divisor: int = 8,
) -> Architecture:
    """Returns ``architecture`` with its measures multiplied, rounded as EfficientNet's are.

    Every width is scaled, those of stem and head too: to the nearest multiple of ``divisor`` (and
    of the groups of a grouped convolution), one more where that loses over a tenth. The depth of
    every stage is rounded up; layers outside of stages are not repeated. The sides of the image are
    rounded to the nearest pixel and, should the network not wire at that size (space-to-depth needs
    sides that it divides), to the nearest at which it does.

    Args:
        architecture: any of ours.
        width: multiplies channels.
        depth: multiplies the number of blocks of each stage.
        resolution: multiplies height and width of the image.
        dropout: the head's new rate; None: as it was.
        divisor: of widths.

    Raises:
        ArchitectureError: a depth, width or side beyond its limit.
    """
    head = architecture.head
    every = Rounding(
        width, math.lcm(divisor, *_find_groups(architecture.to_data(), ("conv", "plain")))
    )
    scaled = architecture.model_copy(
        update={
            "input": (*_scale_sides(architecture, resolution), architecture.input[2]),
            "stem": tuple(layer.scale_widths(every) for layer in architecture.stem),
            "stages": tuple(_scale_stage(item, every, depth) for item in architecture.stages),
            "head": head.model_copy(
                update={
                    "layers": tuple(layer.scale_widths(every) for layer in head.layers),
                    "dropout": head.dropout if dropout is None else dropout,
                }
            ),
            "auxiliary": tuple(_scale_auxiliary(extra, every) for extra in architecture.auxiliary),
        }
    )
    return _fit_sides(_validate(scaled), architecture)


def scale_efficientnet(baseline: Architecture, model: str) -> Architecture:
    """Returns ``baseline`` scaled by the factors published for one of B0 to B7.

    Args:
        baseline: EfficientNet-B0, or another network for 224x224 images.
        model: ``b0`` to ``b7``.

    Raises:
        ArchitectureError: there is no such model.
    """
    if model not in EFFICIENTNET:
        raise ArchitectureError(
            f"there is no EfficientNet {model!r}{suggest(model, EFFICIENTNET) or ', only b0 to b7'}"
        )
    width, depth, side, dropout = EFFICIENTNET[model]
    resolution = side / EFFICIENTNET["b0"].side
    return scale_by(baseline, width=width, depth=depth, resolution=resolution, dropout=dropout)


def check_budget(architecture: Architecture, phi: float, budget: Budget) -> None:
    """Refuses a scaled network that overflows a budget.

    Raises:
        BudgetError: names the scale, every cost that is bounded, and the budget.
    """
    cost = count(architecture)
    if not budget.allows(cost):
        found = " and ".join(kind.describe(kind.read(cost)) for kind, _ in budget.bounds)
        hint = "" if phi < 0 else "; a negative --phi makes networks smaller"
        raise BudgetError(
            f"the network at phi = {phi:g} costs {found}, over the budget of {budget.describe()}"
            f"{hint}"
        )


def _validate(scaled: Architecture) -> Architecture:
    """Validates what ``model_copy`` did not: depths, widths and sides have their limits."""
    return Architecture.from_data(scaled.to_data(), "scaled beyond its limits")


def _scale_sides(architecture: Architecture, resolution: float) -> tuple[int, int]:
    height, width, _ = architecture.input
    return max(1, round(height * resolution)), max(1, round(width * resolution))


def _scale_stage(item: Any, every: Rounding, depth: float) -> Any:
    """A stage with its own groups kept, or a layer between stages."""
    if not isinstance(item, Stage):
        return item.scale_widths(every)
    groups = _find_groups(item.block.model_dump())
    own = Rounding(every.multiplier, math.lcm(every.divisor, *groups))
    # The product of two floats may lie a rounding error above the whole number that is meant.
    return item.scale_widths(own).model_copy(update={"depth": math.ceil(item.depth * depth - 1e-9)})


def _scale_auxiliary(extra: Any, every: Rounding) -> Any:
    layers = tuple(layer.scale_widths(every) for layer in extra.head.layers)
    return extra.model_copy(update={"head": extra.head.model_copy(update={"layers": layers})})


def _find_groups(data: object, types: tuple[str, ...] = ()) -> Iterator[int]:
    """Yields every number of groups in plain data, or only that of nodes of these types."""
    if isinstance(data, Mapping):
        groups = data.get("groups")
        if isinstance(groups, int) and (not types or data.get("type") in types):
            yield groups
        data = list(data.values())
    for child in data if isinstance(data, list | tuple) else ():
        yield from _find_groups(child, types)


def _fit_sides(scaled: Architecture, original: Architecture) -> Architecture:
    """Moves the image's sides to the nearest at which the network wires, if the original does."""
    if _can_wire(scaled) or not _can_wire(original):
        return scaled
    height, width, channels = scaled.input
    for shift in (sign * pixels for pixels in range(1, SHIFTS + 1) for sign in (1, -1)):
        if min(height, width) + shift < 1:
            continue
        moved = scaled.model_copy(update={"input": (height + shift, width + shift, channels)})
        if _can_wire(moved):
            return moved
    return scaled


def _can_wire(architecture: Architecture) -> bool:
    try:
        count(architecture)
    except ArchitectureError:
        return False
    return True
