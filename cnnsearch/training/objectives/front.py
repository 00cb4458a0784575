"""Several objectives at once: domination, fronts, crowding, hypervolume.

A point is a tuple with one number for each objective, of which larger is always better.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

Point = tuple[float, ...]


def dominates(a: Point, b: Point) -> bool:
    """Whether ``a`` is nowhere worse than ``b``, and somewhere better."""
    return a != b and all(x >= y for x, y in zip(a, b, strict=True))


def find_front(points: Sequence[Point]) -> list[int]:
    """Returns the places of the points that no other one dominates."""
    return [i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)]


def peel_fronts(points: Sequence[Point]) -> Iterator[list[int]]:
    """Yields the places of the points of one front after another, the best front first."""
    left = list(range(len(points)))
    while left:
        front = [left[i] for i in find_front([points[i] for i in left])]
        yield front
        left = [i for i in left if i not in front]


def compute_crowding(points: Sequence[Point]) -> list[float]:
    """Returns each point's distance to its neighbours (Deb et al., 2002); infinite at the ends.

    Args:
        points: of one front.
    """
    distances = [0.0] * len(points)
    for values in zip(*points, strict=True):
        order = sorted(range(len(points)), key=values.__getitem__)
        spread = values[order[-1]] - values[order[0]] or 1.0
        distances[order[0]] = distances[order[-1]] = float("inf")
        for before, i, after in zip(order, order[1:], order[2:], strict=False):
            distances[i] += (values[after] - values[before]) / spread
    return distances


def compute_hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Returns the volume that points dominate, above a reference point.

    It is sliced along the last objective; quick for the dozens of points of a search's front.

    Args:
        points: those that do not dominate the reference add nothing.
        reference: the worst value of each objective that counts.
    """
    above = [p for p in points if all(x > r for x, r in zip(p, reference, strict=True))]
    if len(reference) == 1:
        return max((p[0] - reference[0] for p in above), default=0.0)
    volume, seen = 0.0, list[Point]()
    by_last = sorted(above, key=lambda p: -p[-1])
    levels = [(last, list(same)) for last, same in groupby(by_last, key=lambda p: p[-1])]
    edges = [*(last for last, _ in levels), reference[-1]]
    for (last, same), floor in zip(levels, edges[1:], strict=True):
        seen += [p[:-1] for p in same]
        volume += (last - floor) * compute_hypervolume(seen, reference[:-1])
    return volume
