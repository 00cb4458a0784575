"""Draws candidates until one is new and feasible; counts what became of the others."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import islice
from random import Random
from typing import Any

from cnnsearch.errors import BudgetError, SpaceError
from cnnsearch.oracles.points import Values, enumerate_points, mutate
from cnnsearch.oracles.protocol import CheckFeasibility, Draws, Feasibility, Space

SMALL_SPACE = 4096  # a finite space of up to this many points is enumerated instead of sampled
CACHED = 50_000  # checks kept in memory
PATIENCE = 2000  # random draws in a row without a new candidate, after which the space is exhausted
MOSTLY = 0.9  # share of draws that train for too long, at which the search is given up sooner
LONGEST_WALK = 50_000  # points of a finite strategy in a row without a new candidate


class RejectionSampler:
    """Skips draws that are infeasible or were proposed before.

    Args:
        space: The search space.
        check: Returns a candidate's feasibility, cost and fingerprint.
        first: Candidates that :meth:`search` takes before all draws.

    Attributes:
        draws: All draws so far.
        is_too_slow: Whether the last search ended because what it drew trains for too long.
    """

    def __init__(self, space: Space, check: CheckFeasibility, first: Sequence[Values] = ()) -> None:
        self.draws = Draws()
        self.is_too_slow = False
        self.proposed: set[str] = set()
        self._space = space
        self._check = check
        self._first = first
        self._checks: dict[tuple[tuple[str, Any], ...], Feasibility] = {}
        self._cheapest: tuple[float, Values] | None = None

    def search(
        self, draws: Iterator[Values], feasible: Sequence[Values], rng: Random
    ) -> tuple[Values, str] | None:
        """Looks for a new candidate, first in ``draws``, then wherever one may be left.

        Args:
            draws: The strategy's own, endless.
            feasible: Candidates that met the budget; their neighbours are tried last.
            rng: The random make_stream of this proposal.

        Returns:
            The candidate and its fingerprint, or None if the space is exhausted.

        Raises:
            BudgetError: No candidate ever met the budget.
            SpaceError: No candidate could even be wired.
        """
        slow = self.draws.too_slow
        found = self._find_new(self._extend(draws, feasible, rng))
        self.is_too_slow = found is None and self.draws.too_slow > slow
        if found is None and not self.proposed:
            raise self._explain_infeasible()
        return found

    def search_in_order(self, draws: Iterator[Values]) -> tuple[Values, str] | None:
        """Returns the first new candidate of ``draws``, which end; None at their end.

        Raises:
            BudgetError: Very many in a row, or all of them, are over the budget.
            SpaceError: None of them could be wired.
        """
        before, slow = self.draws.drawn, self.draws.too_slow
        found = self._find_new(islice(draws, LONGEST_WALK))
        self.is_too_slow = found is None and self.draws.too_slow > slow
        gave_up = self.draws.drawn - before == LONGEST_WALK and not self.is_too_slow
        if found is None and (gave_up or not self.proposed):
            raise self._explain_infeasible()
        return found

    def _find_new(self, draws: Iterable[Values]) -> tuple[Values, str] | None:
        for values in draws:
            feasibility = self.check(values)
            self._count(values, feasibility)
            if feasibility.is_feasible and feasibility.fingerprint not in self.proposed:
                self.proposed.add(feasibility.fingerprint)
                return values, feasibility.fingerprint
        return None

    def _extend(
        self, draws: Iterator[Values], feasible: Sequence[Values], rng: Random
    ) -> Iterator[Values]:
        """Yields draws of the strategy, then all points of a small space, or neighbours."""
        few, many = PATIENCE // 20, PATIENCE // 2
        drawn, slow = self.draws.drawn, self.draws.too_slow
        yield from self._list_first()
        yield from islice(draws, few)
        if self._all_points is not None:
            yield from rng.sample(self._all_points, len(self._all_points))
            return
        if self.draws.too_slow - slow >= MOSTLY * (self.draws.drawn - drawn):
            for _ in range(few):  # a prediction takes longer than a count: only the smallest ones
                yield self._draw_near([], rng)
            return
        yield from islice(draws, many)
        for _ in range(PATIENCE - many - few):
            yield self._draw_near(feasible, rng)

    def _list_first(self) -> list[Values]:
        """Returns what is left of the first candidates; the others do not count as drawn again."""
        checked = [(values, self.check(values)) for values in self._first]
        return [v for v, f in checked if f.is_feasible and f.fingerprint not in self.proposed]

    def _draw_near(self, feasible: Sequence[Values], rng: Random) -> Values:
        """Mutates what met the budget, or else the cheapest candidate seen."""
        parameters = self._space.parameters
        if feasible:
            return mutate(parameters, rng.choice(feasible), rng, rng.randint(1, 3))
        if self._cheapest is not None:
            return mutate(parameters, self._cheapest[1], rng, rng.randint(1, 3))
        return self._space.sample(rng)

    @cached_property
    def _all_points(self) -> list[Values] | None:
        return enumerate_points(self._space.parameters, SMALL_SPACE)

    def check(self, values: Mapping[str, Any]) -> Feasibility:
        """Returns a candidate's feasibility and cost; computed once."""
        key = tuple(values.items())
        if key not in self._checks:
            if len(self._checks) >= CACHED:
                self._checks.clear()
            self._checks[key] = self._check(values)
        return self._checks[key]

    def keep_feasible(self, pool: list[Values]) -> list[Values]:
        """Returns a strategy's pool without what cannot be proposed, which counts as drawn."""
        feasible = []
        for values in pool:
            feasibility = self.check(values)
            if feasibility.is_feasible:
                feasible.append(values)
            else:
                self._count(values, feasibility)
        return feasible

    def _count(self, values: Values, feasibility: Feasibility) -> None:
        draws = self.draws
        draws.drawn += 1
        if feasibility.is_feasible:
            draws.duplicates += feasibility.fingerprint in self.proposed
        elif feasibility.reason == "budget":
            draws.over_budget += 1
        elif feasibility.reason == "time":
            draws.too_slow += 1
        else:
            draws.invalid += 1
        draws.add_costs(feasibility.cost)
        if feasibility.cost and (self._cheapest is None or feasibility.size < self._cheapest[0]):
            self._cheapest = (feasibility.size, values)

    def _explain_infeasible(self) -> BudgetError | SpaceError:
        """Returns the error for a space in which nothing can be proposed."""
        draws = self.draws
        if not draws.over_budget:
            return SpaceError(
                f"no candidate of the space can be wired: all {draws.drawn:,} drawn were invalid"
            )
        return BudgetError(
            f"no candidate meets the budget: of {draws.drawn:,} drawn, {draws.over_budget:,} were"
            f" over it and {draws.invalid:,} could not be wired; the smallest of each cost:"
            f" {draws.describe_smallest()}"
        )

    def get_counts(self) -> dict[str, Any]:
        """Returns the counts as plain data; what was proposed is stored with the trials."""
        return asdict(self.draws)

    def restore(self, counts: Mapping[str, Any], proposed: Iterable[str]) -> None:
        """Restores the counts and the fingerprints of an earlier process."""
        self.draws = Draws.from_data(counts)
        self.proposed = set(proposed)
