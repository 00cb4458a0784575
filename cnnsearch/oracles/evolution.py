"""Regularized evolution (Real et al., 2018, arXiv:1802.01548)."""

from collections.abc import Iterator, Mapping
from itertools import count
from random import Random
from typing import ClassVar

from cnnsearch.oracles.points import Values, is_fixed, mutate
from cnnsearch.oracles.protocol import Setup
from cnnsearch.oracles.strategy import History, Strategy, Trial

POPULATION = 20  # youngest completed trials, of which the parent is one
ATTEMPTS = 25  # children in a row that cannot be proposed before one more value is mutated


class RegularizedEvolution(Strategy):
    """Aging evolution: tournament selection, mutation, and the oldest dies, not the worst.

    It has no generations, so a slot never waits: a child is bred from whoever has completed. A
    failed candidate never becomes a parent. Its parameters are for searches of a dozen to a
    hundred trials (``benchmarks/replay``): few random founders, a tournament among most of the
    population, and, where a candidate has many values, two mutations a child.

    Parameters stored with a search:
        founders: random candidates that complete before the first child.
        tournament: drawn from the population; the best of them is the parent.
        values_per_mutation: a child has a second mutation with the probability that the values
            exceed this number by, as a fraction of it; 0: never.
    """

    name = "evolution"
    summary = "mutates the best of the recent candidates"
    paper = "1802.01548"
    is_guided = True
    earlier_parameters: ClassVar[Mapping[str, int]] = {
        "founders": 10, "tournament": 10, "values_per_mutation": 0,
    }  # fmt: skip

    def choose_parameters(self, setup: Setup) -> Mapping[str, int]:
        """Returns four founders, or a fifth of the trials up to six."""
        founders = min(max(4, (setup.max_trials or 0) // 5), 6)
        return {"founders": founders, "tournament": 15, "values_per_mutation": 10}

    def suggest(self, history: History, rng: Random) -> Iterator[Values]:
        """Yields children of tournament winners; random candidates while there are few parents."""
        population = self.find_population(history)
        if len(population) < history.parameters["founders"]:
            yield from super().suggest(history, rng)
        for attempt in count():
            rivals = rng.sample(population, min(history.parameters["tournament"], len(population)))
            _, parent = max(rivals, key=lambda rival: rival[0])
            changes = 1 + attempt // ATTEMPTS + _mutates_twice(parent, history, rng)
            yield mutate(history.space.parameters, parent.values, rng, changes)

    def find_population(self, history: History) -> list[tuple[float, Trial]]:
        """Returns the trials that may become parents, each after its fitness."""
        return [(trial.score or 0.0, trial) for trial in history.completed[-POPULATION:]]


def _mutates_twice(parent: Trial, history: History, rng: Random) -> bool:
    values = history.parameters["values_per_mutation"]
    if not values:
        return False
    free = sum(p.name in parent.values and not is_fixed(p) for p in history.space.parameters)
    return rng.random() < free / values - 1
