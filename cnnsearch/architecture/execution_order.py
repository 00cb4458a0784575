"""The order in which a device runs the operators of a network, chosen for a low peak of memory.

Where a network branches, several orders are possible, and in some of them fewer feature maps wait
for a later operator. Orders are searched where the peak is, part by part: an operator whose output
alone is alive when it has run divides a network into parts that run one after another in every
order. In a part, a beam search adds operator after operator; it finds the best order of small parts
and a good one of large ones (the exact search of arXiv:1910.11091 takes too long for cells).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

Operator = tuple[str, int, tuple[int, ...]]
"""What it computes, the bytes of its output, and the operators whose output it reads.

A plain tuple: there are a hundred for each of thousands of candidates.
"""

WIDTH: Final = 8
"""Beam width: partial orders that are kept after each operator."""


class Part(NamedTuple):
    """Operators from ``start`` to before ``end``, and their peak in bytes in the order given."""

    start: int
    end: int
    peak: int


class _State(NamedTuple):
    """Operators of a part that have run.

    Attributes:
        peak: while they ran, in bytes.
        live: bytes of the maps that later operators read.
        done: their bits.
        number: the last of them.
        before: the state without it.
        ready: operators that can run next.
    """

    peak: int
    live: int
    done: int
    number: int = -1
    before: "_State | None" = None
    ready: Sequence[int] = ()


def find_parts(operators: Sequence[Operator]) -> list[Part]:
    """Returns the parts, in their order."""
    last = [0] * len(operators)
    for number, (_, _, inputs) in enumerate(operators):
        for read in inputs:
            last[read] = number
    parts = []
    live = peak = start = 0
    for number, (_, size, inputs) in enumerate(operators):
        live += size
        if live > peak:
            peak = live
        for read in inputs:
            if last[read] == number:
                last[read] = -1  # an operator may read a map twice
                live -= operators[read][1]
        if live == size:
            parts.append(Part(start, number + 1, peak))
            start, peak = number + 1, 0
    return parts


def measure_peak(operators: Sequence[Operator]) -> int:
    """Returns the largest sum of live maps in bytes, the image included, in the order given."""
    return max(part.peak for part in find_parts(operators))


class Schedule(NamedTuple):
    """An order of operators and its peak in bytes; None: the order in which they were given."""

    order: list[int] | None
    peak: int


def reorder(operators: Sequence[Operator]) -> Schedule:
    """Returns an order of low peak memory.

    Args:
        operators: each after those that it reads, the image first, the network's output last.
    """
    parts = find_parts(operators)
    order: list[int] | None = None
    while True:
        highest = max(parts, key=lambda part: part.peak)
        found = _search(operators, highest)
        if found is None:
            return Schedule(order, highest.peak)
        order = order or list(range(len(operators)))
        start, end, _ = highest
        parts.remove(highest)
        parts.append(Part(start, start, found.peak))  # without operators: it is not searched again
        for place in reversed(range(start, end)):
            order[place] = found.number
            found = found.before or found


def _search(operators: Sequence[Operator], part: Part) -> _State | None:
    """Returns the last state of an order with a lower peak than the part's; None: none is known."""
    start, end, bound = part
    numbers = range(start, end)
    if all(number in operators[number + 1][2] for number in numbers[:-1]):
        return None  # each operator reads the one before: there is one order
    readers: dict[int, list[int]] = {read: [] for read in range(start - 1, end)}
    for number in numbers:
        for read in set(operators[number][2]):
            readers[read].append(number)
    bits = {number: 1 << number - start for number in numbers}
    read_by = {read: sum(bits[each] for each in found) for read, found in readers.items()}
    needs = {n: sum(bits.get(read, 0) for read in set(operators[n][2])) for n in numbers}
    live = operators[start - 1][1] if start else 0
    states = [_State(0, live, 0, ready=[number for number in numbers if not needs[number]])]
    for _ in numbers:
        found: dict[int, _State] = {}
        for state in states:
            for number in state.ready:
                _, size, inputs = operators[number]
                peak, live = max(state.peak, state.live + size), state.live + size
                if peak >= bound:
                    continue
                done = state.done | bits[number]
                for read in set(inputs):
                    if not read_by[read] & ~done:
                        live -= operators[read][1]
                known = found.get(done)
                if known is None or (peak, live) < (known.peak, known.live):
                    found[done] = _State(peak, live, done, number, state)
        best = sorted(found.values(), key=lambda state: (state.peak, state.live))[:WIDTH]
        states = []
        for state in best:
            ready = [n for n in state.before.ready if n != state.number] if state.before else []
            ready += [n for n in readers[state.number] if not needs[n] & ~state.done]
            states.append(state._replace(ready=ready))
    return states[0] if states else None
