"""How many candidates a second are decoded and counted, against building their Keras models.

    .venv/bin/python benchmarks/bench_counting.py

For each space that ships: the median over rounds of the candidates a second whose parameters and
MACs are counted, also with RAM and flash, and also decoded before; and how many times faster that
last is than building the same candidates with Keras, all measured in this one run. Seconds are the
processor's, which other programs on the machine change little.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count, try_count
from cnnsearch.errors import ArchitectureError
from cnnsearch.space.files import list_spaces
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.environment import configure_backend, describe_device, import_frameworks

ROUNDS = 7


def rate(work: Callable[[Any], object], items: Sequence[Any], rounds: int = ROUNDS) -> float:
    """Returns the median items a second."""
    rates = []
    for _ in range(rounds):
        start = time.process_time()
        for item in items:
            work(item)
        rates.append(len(items) / (time.process_time() - start))
    return statistics.median(rates)


def count_basics(network: Architecture) -> object:
    """Counts parameters and MACs alone, as searches without a budget on RAM or flash do."""
    return try_count(network, device=False)


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
    print(
        f"{'space':<18}{'counted/s':>10}{'RAM and flash/s':>17}{'and decoded/s':>15}"
        f"{'built/s':>9}{'ratio':>9}"
    )
    everything = []
    for name in list_spaces():
        space = SearchSpace.load(name)
        values = wirable(space, asked.candidates)
        nets: list[Architecture] = [space.decode(v).architecture for v in values]
        everything += nets
        counted, full, both = rate(count_basics, nets), rate(count, nets), rate(space.cost, values)
        built = rate(build, nets[: asked.built], rounds=1)
        print(
            f"{name:<18}{counted:>10,.0f}{full:>17,.0f}{both:>15,.0f}{built:>9.2f}"
            f"{both / built:>8,.0f}x",
            flush=True,
        )
    print(f"{'all':<18}{rate(count_basics, everything):>10,.0f}{rate(count, everything):>17,.0f}")


if __name__ == "__main__":
    main()
