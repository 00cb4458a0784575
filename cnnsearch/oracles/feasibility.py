"""Feasibility of a proposal, known before anything is built."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cnnsearch.architecture.cost import Budget, try_count
from cnnsearch.architecture.costs import BOUNDED, CostKind
from cnnsearch.errors import ArchitectureError, SpaceError
from cnnsearch.oracles.protocol import Feasibility
from cnnsearch.space.search_space import SearchSpace


class FeasibilityCheck:
    """Checks whether values can be wired and meet a budget.

    Args:
        space: Decodes them.
        budget: What a candidate may cost.
        costs: Objectives beside the score.
    """

    def __init__(self, space: SearchSpace, budget: Budget, costs: Sequence[CostKind] = ()) -> None:
        self._space, self._budget = space, budget
        bounded = {kind for kind, _ in budget.bounds}
        self._device = budget.needs_device or any(kind.of_device for kind in costs)
        self._kinds = [kind for kind in BOUNDED if kind.is_basic or kind in bounded]

    def __call__(self, values: Mapping[str, Any]) -> Feasibility:
        """Returns the feasibility of one candidate."""
        try:
            candidate = self._space.decode(values)
        except SpaceError:  # options that are sound alone may break a rule together
            return Feasibility(False, "invalid", str)
        cost, _ = try_count(candidate.architecture, self._device)
        if isinstance(cost, ArchitectureError):
            return Feasibility(False, "invalid", str)
        fits = self._budget.allows(cost)
        return Feasibility(
            fits,
            None if fits else "budget",
            # Decoded again: thousands of these are cached, and an architecture takes kilobytes.
            lambda: self._space.decode(values).fingerprint,
            cost,
            sum(math.log(max(kind.read(cost) or 1, 1)) for kind in self._kinds),
        )
