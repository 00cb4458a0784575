"""By how much another order of the operators lowers the peak memory of a network.

    python -m benchmarks.devices.reordering --networks 100 > benchmarks/devices/reordering.txt

For random networks of the spaces with branches: the peak of the int8 LiteRT export's operators in
the converter's order, in that of the export, and in the best of all orders. That search is exact:
in each part of the network, sets of finished operators are visited from the lowest peak up until
all are finished (arXiv:1910.11091).
"""

import argparse
import heapq
import statistics
from collections.abc import Sequence

from benchmarks.devices.exported_file import list_networks
from cnnsearch.architecture.cost import lower_network
from cnnsearch.architecture.execution_order import Operator, find_parts, measure_peak, reorder

SPACES = ("inception", "mixed", "cells", "fractal", "residual", "resnext")
MOST_STATES = 20_000
"""Sets of operators visited in a part before a network counts as unsolved."""


def find_best_peak(operators: Sequence[Operator]) -> int | None:
    """Returns the lowest peak of any order; None: there are too many."""
    readers: list[int] = [0] * len(operators)
    for number, (_, _, inputs) in enumerate(operators):
        for read in inputs:
            readers[read] |= 1 << number
    best = 0
    for part in find_parts(operators):
        peak = solve(operators, readers, part.start, part.end)
        if peak is None:
            return None
        best = max(best, peak)
    return best


def solve(
    operators: Sequence[Operator], readers: Sequence[int], start: int, end: int
) -> int | None:
    """Returns the lowest peak while the operators from ``start`` to ``end`` run; None: unknown."""
    first, goal = (1 << start) - 1, (1 << end) - 1
    queue, peaks = [(0, -start, first)], {first: 0}
    needed = [sum(1 << read for read in set(inputs)) for _, _, inputs in operators]
    while queue and len(peaks) < MOST_STATES:
        peak, _, done = heapq.heappop(queue)
        if done == goal:
            return peak
        if peak > peaks[done]:
            continue
        live = sum(operators[n][1] for n in range(end) if done >> n & 1 and readers[n] & ~done)
        for n in range(start, end):
            grown = done | 1 << n
            higher = max(peak, live + operators[n][1])
            if grown != done and not needed[n] & ~done and higher < peaks.get(grown, higher + 1):
                peaks[grown] = higher
                heapq.heappush(queue, (higher, -grown.bit_count(), grown))
    return None


def main() -> None:
    """Prints a line for each space."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--spaces", nargs="*", default=list(SPACES))
    asked = parser.parse_args()
    print("space         networks  lower  mean saving  largest saving  solved  of these best")
    for space in asked.spaces:
        savings, solved, best = [], 0, 0
        for _, _, network in list_networks([space], asked.networks):
            operators = lower_network(network).operators
            peak = reorder(operators).peak
            savings.append(1 - peak / measure_peak(operators))
            lowest = find_best_peak(operators)
            solved += lowest is not None
            best += lowest == peak
        lower = sum(saving > 0 for saving in savings)
        counts = f"{space:<13} {asked.networks:>8} {lower:>6}"
        saved = f"{statistics.mean(savings):>12.2%} {max(savings):>15.1%}"
        print(f"{counts} {saved} {solved:>7} {best:>14}", flush=True)


if __name__ == "__main__":
    main()
