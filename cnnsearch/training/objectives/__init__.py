"""What a search can rank its candidates by: one class each, one line in ``OBJECTIVES``.

Enters: the name that a user chose. Leaves: an :class:`Objective`, with every fact about it.
Importing this is cheap: NumPy and scikit-learn are imported when a metric is computed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cnnsearch.architecture.costs import BOUNDED, CostKind
from cnnsearch.errors import CnnsearchError, suggest
from cnnsearch.training.objectives.accuracy import Accuracy
from cnnsearch.training.objectives.balanced_accuracy import BalancedAccuracy
from cnnsearch.training.objectives.base import Objective
from cnnsearch.training.objectives.int8_accuracy import Int8Accuracy
from cnnsearch.training.objectives.macro_f1 import MacroF1

__all__ = [
    "DEFAULT_OBJECTIVE",
    "NAMES",
    "OBJECTIVES",
    "Objective",
    "costs_of",
    "describe_objectives",
    "find_costs",
    "find_objective",
    "normalize_objective",
    "objective_of",
]

OBJECTIVES: Final[tuple[Objective, ...]] = (
    Accuracy(),
    BalancedAccuracy(),
    MacroF1(),
    Int8Accuracy(),
)
NAMES: Final = tuple(objective.name for objective in OBJECTIVES)
DEFAULT_OBJECTIVE: Final = NAMES[0]


def describe_objectives() -> str:
    """Lists all names, for ``--help``."""
    return (
        f"{_list(NAMES)}; with {_list([cost.name for cost in BOUNDED])} after a comma, candidates"
        " are ranked by the former but searched for the Pareto front"
    )


def _list(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def find_objective(text: str) -> Objective:
    """Returns the metric that ``text`` names, alone or with costs: ``"accuracy, macs"``.

    Raises:
        CnnsearchError: there is none, or more than one; suggests the nearest name.
    """
    return _parse(text)[0]


def find_costs(text: str) -> tuple[CostKind, ...]:
    """Returns the costs that ``text`` names beside a metric, in their order; often none.

    Raises:
        CnnsearchError: as :func:`find_objective`.
    """
    return _parse(text)[1]


def normalize_objective(text: str) -> str:
    """Returns the metric and the costs: ``"accuracy, macs"`` of ``"macs,val_accuracy"``."""
    metric, costs = _parse(text)
    return ", ".join([metric.name, *(cost.name for cost in costs)])


def _parse(text: str) -> tuple[Objective, tuple[CostKind, ...]]:
    names = [name.strip().removeprefix("val_") for name in text.split(",")]
    known: dict[str, Objective | CostKind] = {each.name: each for each in OBJECTIVES}
    known |= {cost.name: cost for cost in BOUNDED}
    for name in names:
        if name not in known:
            raise CnnsearchError(
                f"--objective: expected {', '.join(known)}, got {name!r}{suggest(name, known)}"
            )
    metrics = [each for each in map(known.__getitem__, names) if isinstance(each, Objective)]
    costs = [each for each in map(known.__getitem__, names) if isinstance(each, CostKind)]
    if len(metrics) != 1 or len(set(names)) < len(names):
        rule = f"one of {', '.join(NAMES)}, and different costs beside it if any"
        raise CnnsearchError(f"--objective: expected {rule}, got {text!r}")
    return metrics[0], tuple(costs)


def objective_of(settings: Mapping[str, Any] | None) -> Objective:
    """Returns the objective in a run's recorded settings; the default in those without one."""
    return find_objective(str((settings or {}).get("objective", DEFAULT_OBJECTIVE)))


def costs_of(settings: Mapping[str, Any] | None) -> tuple[CostKind, ...]:
    """Returns the costs that are objectives too in a run's recorded settings."""
    return find_costs(str((settings or {}).get("objective", DEFAULT_OBJECTIVE)))
