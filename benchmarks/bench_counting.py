"""How many candidates a second are decoded and counted, against building their Keras models.

    .venv/bin/python benchmarks/bench_counting.py

For each space that ships: the median over rounds of the candidates a second that are counted, and
decoded and counted; and how many times faster counting is than building the same candidates with
Keras, both measured in this one run.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.errors import ArchitectureError
from cnnsearch.space.files import list_spaces
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.environment import configure_backend, describe_device, import_frameworks

ROUNDS = 7


def rate(work: Callable[[Any], object], items: Sequence[Any], rounds: int = ROUNDS) -> float:
    """Returns the median items a second."""
    rates = []
    for _ in range(rounds):
        start = time.perf_counter()
        for item in items:
            work(item)
        rates.append(len(items) / (time.perf_counter() - start))
    return statistics.median(rates)


def wirable(space: SearchSpace, number: int) -> list[dict[str, Any]]:
    """Returns values of random candidates that can be wired."""
    rng, found = random.Random(0), []
    while len(found) < number:
        values = space.sample(rng)
        try:
            space.cost(values)
        except ArchitectureError:
            continue
        found.append(values)
    return found


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--built", type=int, default=5, help="candidates built with Keras")
    asked = parser.parse_args()
    configure_backend()
    import_frameworks()
    from cnnsearch.training.model import build

    print(f"{describe_device()}, median of {ROUNDS} rounds of {asked.candidates} candidates")
    print(f"{'space':<14}{'counted/s':>12}{'decoded+counted/s':>20}{'built/s':>10}{'ratio':>9}")
    everything = []
    for name in list_spaces():
        space = SearchSpace.load(name)
        values = wirable(space, asked.candidates)
        nets: list[Architecture] = [space.decode(v).architecture for v in values]
        everything += nets
        counted, both = rate(count, nets), rate(space.cost, values)
        built = rate(build, nets[: asked.built], rounds=1)
        print(f"{name:<14}{counted:>12,.0f}{both:>20,.0f}{built:>10.2f}{counted / built:>8,.0f}x")
    print(f"{'all':<14}{rate(count, everything):>12,.0f}")


if __name__ == "__main__":
    main()
