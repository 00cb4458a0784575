"""The order in which a device runs the operators of a network, chosen for a low peak of memory.

Where a network branches, several orders are possible, and in some of them fewer feature maps wait
for a later operator. Orders are searched where the peak is, part by part: an operator whose output
alone is alive when it has run divides a network into parts that run one after another in every
order. In a part, a beam search adds operator after operator; it finds the best order of small parts
and a good one of large ones (the exact search of arXiv:1910.11091 takes too long for cells).
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

_Grown = tuple[int, int, int, int, "_State"]
"""The values of a state but ``ready``, in a plain tuple, as most of them are dropped."""

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


class _Run(NamedTuple):
    """What running an operator of a part does.

    Attributes:
        bit: of the operator.
        size: bytes of its output.
        frees: of each input, the bits of the operators that read it and its bytes.
    """

    bit: int
    size: int
    frees: Sequence[tuple[int, int]]


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
    runs = {
        n: _Run(
            bits[n], operators[n][1], [(read_by[i], operators[i][1]) for i in set(operators[n][2])]
        )
        for n in numbers
    }
    live = operators[start - 1][1] if start else 0
    states = [_State(0, live, 0, ready=[number for number in numbers if not needs[number]])]
    for _ in numbers:
        found: dict[int, _Grown] = {}
        for state in states:
            for new in _grow(state, runs, bound):
                known = found.get(new[2])
                if known is None or new[:2] < known[:2]:
                    found[new[2]] = new
        states = []
        for new in sorted(found.values(), key=itemgetter(0, 1))[:WIDTH]:
            _, _, done, number, state = new
            ready = [n for n in state.ready if n != number]
            ready += [n for n in readers[number] if not needs[n] & ~done]
            states.append(_State(*new, ready))
    return states[0] if states else None


def _grow(state: _State, runs: Mapping[int, _Run], bound: int) -> list[_Grown]:
    """Returns the states with one operator more, all with a peak below a bound.

    An operator that neither raises the peak nor leaves more bytes alive may as well run now: moved
    here from later in an order, it raises nothing on the way. Its state is then the only one.
    """
    highest, before, finished, _, _, ready = state
    grown = []
    for number in ready:
        bit, size, frees = runs[number]
        live = before + size
        if live >= bound:
            continue
        peak = live if live > highest else highest
        done = finished | bit
        for readers, freed in frees:
            if readers & done == readers:
                live -= freed
        new = (peak, live, done, number, state)
        if peak == highest and live <= before:
            return [new]
        grown.append(new)
    return grown
