"""Grid search that neither materializes the grid nor starts again after a restart."""

from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

from cnnsearch.oracles._keras_tuner import Oracle
from cnnsearch.oracles.base import DurableOracle
from cnnsearch.oracles.points import Values, levels, points

LEVELS_OF_INT = 10  # a longer range of integers takes this many of them
LEVELS_OF_FLOAT = 5
PATIENCE = 50_000  # grid points in a row that cannot be proposed


class GridOracle(DurableOracle, Oracle):
    """Enumerates the conditional product, the last parameter fastest.

    Choices take every option, ranges of up to ten integers every integer, other ranges evenly
    spaced values (on a log scale where they are logarithmic) with both ends.
    """

    strategy = "grid"

    def __init__(self, *args: Any, **options: Any) -> None:
        self._cursor: Values | None = None
        super().__init__(*args, **options)

    def candidates(self, rng: Random) -> Iterator[Values]:
        """Yields the points after the cursor, and ends with the grid."""
        parameters = self.setup.space.parameters
        numbers = {"int": LEVELS_OF_INT, "float": LEVELS_OF_FLOAT, "choice": 0}
        grid = {p.name: levels(p, numbers[p.kind]) for p in parameters}
        for point in points(parameters, grid, after=self._cursor):
            self._cursor = point
            yield point

    def find(self, rng: Random) -> tuple[Values, str] | None:
        """Returns the next grid point that can be proposed, or None at the end of the grid.

        Raises:
            BudgetError: Very many points in a row, or all of them, are over the budget.
            SpaceError: None of them could be wired.
        """
        before = self.screen.draws.drawn
        found = self.screen.first_new(islice(self.candidates(rng), PATIENCE))
        gave_up = self.screen.draws.drawn - before == PATIENCE
        if found is None and (gave_up or not self.screen.proposed):
            raise self.screen.nothing_feasible()
        return found

    def strategy_state(self) -> dict[str, Any]:
        """Returns the cursor."""
        return {"cursor": self._cursor}

    def restore_strategy(self, state: dict[str, Any]) -> None:
        """Takes up the cursor."""
        self._cursor = state["cursor"]
