"""Random candidates that show what is usual in a space."""

import random
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cnnsearch.architecture.cost import Budget, try_count
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace

SIZE: Final = 40
MOST_DRAWN: Final = 400


@dataclass(frozen=True)
class CandidateSample:
    """Random candidates within a budget, the same ones each time.

    Attributes:
        space: that they are drawn from.
        budget: limits them.
    """

    space: SearchSpace
    budget: Budget

    @cached_property
    def candidates(self) -> list[Candidate]:
        """Up to ``SIZE`` candidates, sampled on first access; fewer if few meet the budget."""
        rng, found = random.Random(0), list[Candidate]()
        for _ in range(MOST_DRAWN):
            candidate = self.space.decode(self.space.sample(rng))
            cost, _ = try_count(candidate.architecture, self.budget.needs_device)
            if not isinstance(cost, Exception) and self.budget.allows(cost):
                found.append(candidate)
            if len(found) == SIZE:
                break
        return found
