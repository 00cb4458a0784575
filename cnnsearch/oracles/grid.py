"""Grid search that neither materializes the grid nor starts again after a restart."""

from collections.abc import Iterator
from random import Random

from cnnsearch.oracles.points import Values, iterate_grid, list_levels
from cnnsearch.oracles.strategy import History, Strategy

LEVELS = {"choice": 0, "int": 10, "float": 5}  # of a range; a choice takes all its options


class GridSearch(Strategy):
    """Enumerates the conditional product, the last parameter fastest.

    Choices take every option, ranges of up to ten integers every integer, other ranges evenly
    spaced values (on a log scale where they are logarithmic) with both ends.
    """

    name = "grid"
    summary = "every combination, in order"
    is_randomized = False
    is_finite = True

    def suggest(self, history: History, rng: Random) -> Iterator[Values]:
        """Yields the grid points after that of the latest trial."""
        parameters = history.space.parameters
        grid = {p.name: list_levels(p, LEVELS[p.kind]) for p in parameters}
        latest = list(history.trials.values())[-1:]
        return iterate_grid(parameters, grid, after=latest[0].values if latest else None)
