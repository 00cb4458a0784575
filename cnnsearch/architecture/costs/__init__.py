"""What a network costs: one class for each cost, one line in ``COSTS``.

Enters: a count (:class:`cnnsearch.architecture.cost.Cost`) or a trial. Leaves: its amounts.
A new cost also needs its attribute in ``Cost`` or ``TrialRecord``, and its bound in ``Budget`` and
``SearchOptions``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cnnsearch.architecture.costs.base import CostKind
from cnnsearch.architecture.costs.flash import Flash
from cnnsearch.architecture.costs.latency import Latency
from cnnsearch.architecture.costs.macs import Flops, Macs
from cnnsearch.architecture.costs.params import Params
from cnnsearch.architecture.costs.ram import Ram
from cnnsearch.errors import CnnsearchError, suggest

__all__ = [
    "BOUNDED",
    "COSTS",
    "COUNTED",
    "FLASH",
    "LATENCY",
    "MACS",
    "PARAMS",
    "RAM",
    "CostKind",
    "choose_columns",
    "describe_costs",
    "list_bounds",
    "parse_costs",
    "read_costs",
]

PARAMS: Final = Params()
MACS: Final = Macs()
"""The cost of a Pareto front unless another one is named."""
LATENCY: Final = Latency()
RAM: Final = Ram()
FLASH: Final = Flash()
COSTS: Final[tuple[CostKind, ...]] = (
    PARAMS,
    MACS,
    Flops(),
    LATENCY,
    RAM,
    FLASH,
)
BOUNDED: Final = tuple(kind for kind in COSTS if kind.has_budget)
"""Those that a budget can bound."""
COUNTED: Final = tuple(kind for kind in BOUNDED if not kind.is_measured)
"""Those of them that are known of any network at once."""


def read_costs(counted: object) -> dict[str, float | None]:
    """Returns every cost of a count or a trial, by its key."""
    return {kind.key: kind.read(counted) for kind in COSTS}


def parse_costs(text: str, flag: str) -> tuple[CostKind, ...]:
    """Parses names of costs that can be bounded: ``ram,flash``.

    Raises:
        CnnsearchError: there is no such cost, or one is named twice; suggests the nearest name.
    """
    known = {kind.name: kind for kind in BOUNDED}
    names = [name.strip().lower() for name in text.split(",")]
    for name in names:
        if name not in known:
            rule = f"expected {', '.join(known)}, or several with commas"
            raise CnnsearchError(f"{flag}: {rule}, got {name!r}{suggest(name, known)}")
    if len(set(names)) < len(names):
        raise CnnsearchError(f"{flag}: expected different costs, got {text!r}")
    return tuple(known[name] for name in names)


def describe_costs(counted: object) -> str:
    """Returns every known cost of a count or a trial, in words."""
    known = [(kind, kind.read(counted)) for kind in COSTS]
    return ", ".join(kind.describe_exactly(amount) for kind, amount in known if amount is not None)


def list_bounds(settings: Mapping[str, Any] | None) -> list[tuple[CostKind, float]]:
    """Returns the costs that a search's settings bound, and the bounds."""
    found = ((kind, (settings or {}).get(kind.budget)) for kind in BOUNDED)
    return [(kind, bound) for kind, bound in found if isinstance(bound, int | float)]


def choose_columns(
    settings: Mapping[str, Any] | None, objectives: Sequence[CostKind] = ()
) -> tuple[CostKind, ...]:
    """Returns the costs that tables of a search show: the basic ones, and what it limits.

    Args:
        settings: of the search.
        objectives: costs that are objectives, or that are requested otherwise.
    """
    shown = {kind for kind, _ in list_bounds(settings)} | {*objectives}
    return tuple(kind for kind in COSTS if kind.is_basic or kind in shown)
