"""Draws candidates until one is new and meets the budget; counts what became of the others."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from random import Random
from typing import Any

from cnnsearch.errors import BudgetError, SpaceError
from cnnsearch.oracles.points import Values, all_points, mutate
from cnnsearch.oracles.protocol import Draws, Judge, Space, Verdict

SMALL_SPACE = 4096  # a finite space up to this many points is enumerated instead of guessed at
REMEMBERED = 50_000  # verdicts kept in memory


class Screen:
    """Judges draws and remembers what has been proposed.

    Args:
        space: The search space.
        judge: Says what a candidate costs and whether it is accepted.
        patience: Draws in a row without a new candidate after which the search gives up.
    """

    def __init__(self, space: Space, judge: Judge, patience: int = 2000) -> None:
        self.draws = Draws()
        self.proposed: set[str] = set()
        self._space = space
        self._judge = judge
        self._patience = patience
        self._verdicts: dict[tuple[tuple[str, Any], ...], Verdict] = {}
        self._cheapest: tuple[float, Values] | None = None
        self._everything: list[Values] | None = None
        self._counted = False

    def first_new(self, draws: Iterable[Values]) -> tuple[Values, str] | None:
        """Returns the first of ``draws`` that is accepted and new, with its fingerprint."""
        for values in draws:
            verdict = self._verdict(values)
            self._count(values, verdict)
            if verdict.accepted and verdict.fingerprint not in self.proposed:
                self.proposed.add(verdict.fingerprint)
                return values, verdict.fingerprint
        return None

    def search(
        self, draws: Iterator[Values], known: Callable[[], list[Values]], rng: Random
    ) -> tuple[Values, str] | None:
        """Looks for a new candidate, first in ``draws``, then wherever one may be left.

        Args:
            draws: The strategy's own, endless.
            known: Gives candidates that met the budget; their neighbours are tried last.
            rng: The random stream of this proposal.

        Returns:
            The candidate and its fingerprint, or None if the space is exhausted.

        Raises:
            BudgetError: No candidate ever met the budget.
            SpaceError: No candidate could even be wired.
        """
        found = self.first_new(self._wherever(draws, known, rng))
        if found is None and not self.proposed:
            raise self.nothing_feasible()
        return found

    def _wherever(
        self, draws: Iterator[Values], known: Callable[[], list[Values]], rng: Random
    ) -> Iterator[Values]:
        yield from islice(draws, self._patience // 20)
        everything = self._all_points()
        if everything is not None:
            yield from rng.sample(everything, len(everything))
            return
        yield from islice(draws, self._patience // 2)
        feasible = known()
        for _ in range(self._patience - self._patience // 2 - self._patience // 20):
            yield self._near(feasible, rng)

    def _near(self, feasible: list[Values], rng: Random) -> Values:
        """Walks from what met the budget, or else downhill from the cheapest candidate seen."""
        parameters = self._space.parameters
        if feasible:
            return mutate(parameters, rng.choice(feasible), rng, rng.randint(1, 3))
        if self._cheapest is not None:
            return mutate(parameters, self._cheapest[1], rng, rng.randint(1, 3))
        return self._space.sample(rng)

    def _all_points(self) -> list[Values] | None:
        if not self._counted:
            self._everything = all_points(self._space.parameters, SMALL_SPACE)
            self._counted = True
        return self._everything

    def _verdict(self, values: Mapping[str, Any]) -> Verdict:
        key = tuple(values.items())
        if key not in self._verdicts:
            if len(self._verdicts) >= REMEMBERED:
                self._verdicts.clear()
            self._verdicts[key] = self._judge(values)
        return self._verdicts[key]

    def _count(self, values: Values, verdict: Verdict) -> None:
        draws = self.draws
        draws.drawn += 1
        if verdict.accepted:
            draws.duplicates += verdict.fingerprint in self.proposed
        elif verdict.reason == "budget":
            draws.over_budget += 1
        else:
            draws.invalid += 1
        draws.smallest_params = _least(draws.smallest_params, verdict.params)
        draws.smallest_macs = _least(draws.smallest_macs, verdict.macs)
        if verdict.params is not None and verdict.macs is not None:
            size = math.log(max(verdict.params, 1)) + math.log(max(verdict.macs, 1))
            if self._cheapest is None or size < self._cheapest[0]:
                self._cheapest = (size, values)

    def nothing_feasible(self) -> BudgetError | SpaceError:
        """Returns the error that says that nothing in the space can be proposed."""
        draws = self.draws
        if not draws.over_budget:
            return SpaceError(
                f"no candidate of the space can be wired: all {draws.drawn:,} drawn were invalid"
            )
        return BudgetError(
            f"no candidate meets the budget: of {draws.drawn:,} drawn, {draws.over_budget:,} were"
            f" over it and {draws.invalid:,} could not be wired; the smallest had"
            f" {draws.smallest_params or 0:,} parameters,"
            f" the cheapest {draws.smallest_macs or 0:,} MACs"
        )

    def state(self) -> dict[str, Any]:
        """Returns the counts; what was proposed is kept with the trials."""
        return asdict(self.draws)

    def restore(self, counts: Mapping[str, Any], proposed: Iterable[str]) -> None:
        """Takes up the counts and the fingerprints of an earlier process."""
        self.draws = Draws(**counts)
        self.proposed = set(proposed)


def _least(best: int | None, value: int | None) -> int | None:
    return best if value is None else value if best is None else min(best, value)
