"""Random candidates of a space, to measure or to compare."""

import random
from collections.abc import Iterator

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import try_count
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.search_space import SearchSpace

PATIENCE = 200
"""Draws in a row without a new network that can be wired, after which there are no more."""


def sample_architectures(space: SearchSpace, count: int, seed: int = 0) -> Iterator[Architecture]:
    """Yields different random networks of a space, the same for a seed; fewer if it has fewer."""
    rng, seen, misses = random.Random(seed), set[str](), 0
    while len(seen) < count and misses < PATIENCE:
        found = _draw(space, rng)
        if found is None or found.fingerprint in seen:
            misses += 1
            continue
        misses = 0
        seen.add(found.fingerprint)
        yield found


def _draw(space: SearchSpace, rng: random.Random) -> Architecture | None:
    """Returns a random network; None: it cannot be wired."""
    try:
        found = space.decode(space.sample(rng)).architecture
    except CnnsearchError:
        return None
    cost, _ = try_count(found)
    return None if isinstance(cost, CnnsearchError) else found
