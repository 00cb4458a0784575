"""Stratified splits that depend on the seed and on the images, not on the order of files."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence

from cnnsearch.data.sources.protocol import Collection, Examples
from cnnsearch.errors import DataError


def sort_naturally(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Returns a sort key that puts 'class 2' before 'class 10' and 'b' after 'A'."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return [(0, int(p), "") if p.isascii() and p.isdigit() else (1, 0, p) for p in parts], name


def count_held_out(count: int, validation: float, test: float) -> tuple[int, int]:
    """Returns how many of a class's images go to validation and test.

    Every requested split gets one where there are enough; train always, then validation first.
    """
    wanted = [1 if fraction else 0 for fraction in (validation, test)]
    if count < 1 + sum(wanted):
        return (min(wanted[0], max(count - 1, 0)), 0 if wanted[0] else min(wanted[1], count - 1))
    held = [max(w, round(count * f)) for w, f in zip(wanted, (validation, test), strict=True)]
    while sum(held) >= count:
        held[held.index(max(held))] -= 1
    return held[0], held[1]


def assign_rows(
    examples: Examples, validation: float, test: float, seed: int
) -> tuple[list[int], list[int], list[int]]:
    """Returns the rows of train, validation and test.

    Within a class, rows are drawn in the order of a hash of the seed and the key, so that the
    split is the same on every platform and in every version of NumPy.
    """
    classes: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(examples.labels):
        classes[label].append(row)
    keys = examples.keys
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for rows in classes.values():
        drawn = sorted(rows, key=lambda row: _hash(seed, keys[row]))
        first, second = count_held_out(len(drawn), validation, test)
        parts[1].extend(drawn[:first])
        parts[2].extend(drawn[first : first + second])
        parts[0].extend(drawn[first + second :])
    return sorted(parts[0]), sorted(parts[1]), sorted(parts[2])


def split(
    collection: Collection, validation: float, test: float, seed: int
) -> tuple[Examples, Examples, Examples]:
    """Returns train, validation and test; those that the source lacks are taken from train."""
    source = collection.train
    train, held, kept = assign_rows(
        source,
        0.0 if collection.validation else validation,
        0.0 if collection.test else test,
        seed,
    )
    first = collection.validation or source.take(held)
    if not len(first):
        raise DataError("no class has the 2 images that a validation split needs")
    return source.take(train), first, collection.test or source.take(kept)


def check_classes(labels: Sequence[int], class_names: Sequence[str], where: str) -> None:
    """Refuses a source with fewer than two classes or with a class that has no image."""
    if len(class_names) < 2:
        only = f", {class_names[0]!r}" if class_names else ""
        raise DataError(f"{where}: at least two classes are needed, found {len(class_names)}{only}")
    present = set(labels)
    for index, name in enumerate(class_names):
        if index not in present:
            raise DataError(f"{where}: class {name!r} is empty, it has no training image")


def _hash(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed}/{key}".encode("utf-8", "surrogateescape")).digest()
