"""Says of a proposal, before anything is built, whether it can be wired and meets the budget."""

from collections.abc import Mapping
from typing import Any

from cnnsearch.architecture.cost import Budget, count
from cnnsearch.errors import ArchitectureError, SpaceError
from cnnsearch.oracles.protocol import Verdict
from cnnsearch.space.search_space import SearchSpace


class SpaceJudge:
    """Judges the values that an oracle proposes.

    Args:
        space: decodes them.
        budget: what the candidate may cost.
    """

    def __init__(self, space: SearchSpace, budget: Budget) -> None:
        self._space, self._budget = space, budget

    def __call__(self, values: Mapping[str, Any]) -> Verdict:
        """Returns the verdict on one candidate."""
        try:
            candidate = self._space.decode(values)
        except SpaceError:  # options that are sound alone may break a rule together
            return Verdict(False, "invalid", "")
        try:
            cost = count(candidate.architecture)
        except ArchitectureError:
            return Verdict(False, "invalid", candidate.fingerprint)
        within = self._budget.allows(cost)
        reason = None if within else "budget"
        return Verdict(within, reason, candidate.fingerprint, cost.params, cost.macs)
