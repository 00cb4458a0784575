"""Finds images that occur more than once: in one split, in several, under several labels."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cnnsearch.data.inspection.facts import Facts, normalize_signatures
from cnnsearch.data.inspection.scan import Part
from cnnsearch.data.sources.protocol import show_path

ALIKE = 0.99
"""Correlation of two signatures above which one image is likely a copy of the other.

Among 4,000 images of CIFAR-10, no two different ones exceed 0.976. Of copies saved as JPEG of
quality 75, as WebP of quality 80 or at twice the size, over 99 % exceed 0.99, of copies at three
quarters of the size 12 %.
"""

MOST_PAIRS = 2_000_000_000
_ROWS = 1024


@dataclass(frozen=True)
class Place:
    """Where an image is: its split, its key and the name of its class."""

    split: str
    key: str
    label: str


@dataclass(frozen=True)
class Leak:
    """An image of a held-out split that an earlier split contains, too.

    Attributes:
        image: The held-out one.
        twin: The one that it repeats.
        similarity: 1 if the pixels are identical; else the correlation of two 16x16 signatures.
    """

    image: Place
    twin: Place
    similarity: float


@dataclass(frozen=True)
class Copies:
    """What occurs more than once; groups hold two places or more, the likeliest leaks come first.

    Attributes:
        same_bytes: groups of files that are the same to the byte.
        same_pixels: groups whose decoded pixels are the same, those of `same_bytes` among them.
        conflicts: the groups of `same_pixels` whose labels differ.
        leaks: held-out images whose pixels an earlier split has: certain.
        likely_leaks: held-out images that look like re-encoded or resized copies; None: there are
            too many pairs to compare.
    """

    same_bytes: tuple[tuple[Place, ...], ...]
    same_pixels: tuple[tuple[Place, ...], ...]
    conflicts: tuple[tuple[Place, ...], ...]
    leaks: tuple[Leak, ...]
    likely_leaks: tuple[Leak, ...] | None


def find_copies(parts: Sequence[Part], names: Sequence[str]) -> Copies:
    """Compares all images that can be read, by their hashes."""
    pixels = _group_by(parts, names, lambda facts: facts.pixels)
    return Copies(
        _group_by(parts, names, lambda facts: facts.content),
        pixels,
        tuple(group for group in pixels if len({place.label for place in group}) > 1),
        tuple(_list_leaks(pixels)),
        _find_likely_leaks(parts, names),
    )


def _group_by(
    parts: Sequence[Part], names: Sequence[str], key: Callable[[Facts], str]
) -> tuple[tuple[Place, ...], ...]:
    found: dict[str, list[tuple[Part, int]]] = defaultdict(list)
    for part in parts:
        for row in part.readable:
            found[key(part.facts[row])].append((part, row))
    return tuple(
        tuple(_find_place(part, row, names) for part, row in group)
        for group in found.values()
        if len(group) > 1
    )


def _find_place(part: Part, row: int, names: Sequence[str]) -> Place:
    label = names[part.examples.labels[row]]
    return Place(part.name, show_path(part.examples.keys[row]), label)


def _list_leaks(groups: Sequence[Sequence[Place]]) -> Iterator[Leak]:
    """Yields leaks; groups are in the order train, validation, test: the first place leaks."""
    for first, *others in groups:
        yield from (Leak(place, first, 1.0) for place in others if place.split != first.split)


def _find_likely_leaks(parts: Sequence[Part], names: Sequence[str]) -> tuple[Leak, ...] | None:
    pairs = [(held, known) for known, held in combinations(parts, 2)]
    if sum(len(held.facts) * len(known.facts) for held, known in pairs) > MOST_PAIRS:
        return None
    best: dict[tuple[str, int], Leak] = {}
    for held, known in pairs:
        for row, twin, similarity in _match(held, known):
            leak = Leak(_find_place(held, row, names), _find_place(known, twin, names), similarity)
            before = best.get((held.name, row))
            if before is None or before.similarity < similarity:
                best[held.name, row] = leak
    return tuple(sorted(best.values(), key=lambda leak: -leak.similarity))


def _match(held: Part, known: Part) -> Iterator[tuple[int, int, float]]:
    """Yields rows of a held-out split, each with the most similar row that is not identical."""
    certain = {known.facts[row].pixels for row in known.readable}
    rows = [row for row in held.readable if held.facts[row].pixels not in certain]
    twins = known.readable
    if not rows or not twins:
        return
    table = normalize_signatures([known.facts[row] for row in twins]).T
    for start in range(0, len(rows), _ROWS):
        chunk = rows[start : start + _ROWS]
        alike = normalize_signatures([held.facts[row] for row in chunk]) @ table
        nearest = alike.argmax(axis=1)
        for row, twin, value in zip(chunk, nearest, alike.max(axis=1), strict=True):
            if value >= ALIKE:
                yield row, twins[twin], float(np.minimum(value, 0.9999))
