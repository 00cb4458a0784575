"""Regularized evolution (Real et al., 2018, arXiv:1802.01548)."""

from collections.abc import Iterator
from itertools import count
from random import Random

from cnnsearch.oracles.points import Values, mutate
from cnnsearch.oracles.strategy import History, Strategy

POPULATION = 20  # youngest completed trials, of which the parent is one
FOUNDERS = 10  # random candidates that complete before the first child
TOURNAMENT = 10  # drawn from the population; the best of them is the parent
ATTEMPTS = 25  # children in a row that cannot be proposed before one more value is mutated


class RegularizedEvolution(Strategy):
    """Aging evolution: tournament selection, one mutation, and the oldest dies, not the worst.

    It has no generations, so a slot never waits: a child is bred from whoever has completed. A
    failed candidate never becomes a parent.
    """

    name = "evolution"
    summary = "mutates the best of the recent candidates"
    paper = "1802.01548"

    def suggest(self, history: History, rng: Random) -> Iterator[Values]:
        """Yields children of tournament winners; random candidates while there are few parents."""
        population = history.completed[-POPULATION:]
        if len(population) < FOUNDERS:
            yield from super().suggest(history, rng)
        for attempt in count():
            rivals = rng.sample(population, min(TOURNAMENT, len(population)))
            parent = max(rivals, key=lambda trial: trial.score or 0.0)
            changes = 1 + attempt // ATTEMPTS
            yield mutate(history.space.parameters, parent.values, rng, changes)
