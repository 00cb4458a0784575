"""What a search can rank its candidates by: one class each, one line in ``OBJECTIVES``.

Enters: the name that a user chose. Leaves: an :class:`Objective`, with every fact about it.
Importing this is cheap: NumPy and scikit-learn are imported when a metric is computed.
"""

from collections.abc import Mapping
from typing import Any, Final

from cnnsearch.errors import CnnsearchError, suggest
from cnnsearch.training.objectives.accuracy import Accuracy
from cnnsearch.training.objectives.balanced_accuracy import BalancedAccuracy
from cnnsearch.training.objectives.base import Objective
from cnnsearch.training.objectives.macro_f1 import MacroF1

__all__ = [
    "DEFAULT_OBJECTIVE",
    "NAMES",
    "OBJECTIVES",
    "Objective",
    "describe_objectives",
    "find_objective",
    "objective_of",
]

OBJECTIVES: Final[tuple[Objective, ...]] = (
    Accuracy(),
    BalancedAccuracy(),
    MacroF1(),
)
NAMES: Final = tuple(objective.name for objective in OBJECTIVES)
DEFAULT_OBJECTIVE: Final = NAMES[0]


def describe_objectives() -> str:
    """Lists all names, for ``--help``."""
    return f"{', '.join(NAMES[:-1])} or {NAMES[-1]}"


def find_objective(name: str) -> Objective:
    """Returns the objective called ``name``.

    Raises:
        CnnsearchError: there is none; suggests the nearest name.
    """
    for objective in OBJECTIVES:
        if objective.name == name:
            return objective
    known = ", ".join(NAMES)
    raise CnnsearchError(f"--objective: expected {known}, got {name!r}{suggest(name, NAMES)}")


def objective_of(settings: Mapping[str, Any] | None) -> Objective:
    """Returns the objective in a run's recorded settings; the default in those without one."""
    return find_objective(str((settings or {}).get("objective", DEFAULT_OBJECTIVE)))
