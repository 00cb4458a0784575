"""Splits that depend on the seed and on the images, not on the order of files."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence

from cnnsearch.data.sources.decode import map_in_threads
from cnnsearch.data.sources.protocol import Collection, Examples, Item, digest_raw
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
    """Returns the rows of train, validation and test, by their names and exactly stratified.

    Within a class, rows are drawn in the order of a hash of the seed and the key. Images that are
    added later would move others: this is for collections that are closed, and for runs of
    cnnsearch 0.1, which assigned all images so.
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


def assign_by_content(
    contents: Sequence[str], labels: Sequence[int], validation: float, test: float, seed: int
) -> tuple[list[int], list[int], list[int]]:
    """Returns the rows of train, validation and test, by a hash of each image's content.

    An image's split depends on nothing but its content and the seed: it stays when others are
    added, removed or renamed, and copies are never in two splits. Shares are therefore exact only
    on average: of 200 images of a class, a test share of 0.2 gets 40, with a standard deviation
    of 5.7. Only a class that would lack a requested split gets an image moved there.

    Args:
        contents: A digest of each image.
        labels: Its class index.
        validation: Share of validation.
        test: Share of test.
        seed: Other seeds, other splits.
    """
    places = [int.from_bytes(_hash(seed, content)[:8], "big") / 2**64 for content in contents]
    bounds = (test + validation, test, 0.0)  # of train, validation, test
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    classes: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(labels):
        classes[label].append(row)
    for rows in classes.values():
        chosen: list[list[int]] = [[], [], []]
        for row in sorted(rows, key=lambda row: places[row]):
            chosen[next(i for i, bound in enumerate(bounds) if places[row] >= bound)].append(row)
        _fill_empty(chosen, [i for i, share in enumerate((1, validation, test)) if share])
        for part, found in zip(parts, chosen, strict=True):
            part.extend(found)
    return sorted(parts[0]), sorted(parts[1]), sorted(parts[2])


def _fill_empty(chosen: list[list[int]], requested: Sequence[int]) -> None:
    """Moves an image into each empty requested split of a class, as far as there are enough."""
    needed = requested[: sum(map(len, chosen))]
    for split_ in needed:
        if not chosen[split_]:
            donor = max(range(3), key=lambda i: len(chosen[i]) - (i in needed))
            chosen[split_].append(chosen[donor].pop(0))


def read_contents(examples: Examples) -> list[str]:
    """Returns a digest of the content of each image; its key if it cannot be read."""
    digests = map_in_threads(_digest_item, examples.items())
    return [found or key for found, key in zip(digests, examples.keys, strict=True)]


def _digest_item(item: Item) -> str:
    try:
        return digest_raw(item())
    except (DataError, MemoryError):
        raise
    except Exception:  # reported when it is decoded
        return ""


def split(
    collection: Collection,
    validation: float,
    test: float,
    seed: int,
    version: int,
    contents: Sequence[str] | None = None,
) -> tuple[Examples, Examples, Examples]:
    """Returns train, validation and test; those that the source lacks are taken from train.

    Args:
        collection: The listed source.
        validation: Share of train, if the source has no validation split.
        test: Likewise for test.
        seed: Of the assignment.
        version: 1 assigns by name, as cnnsearch 0.1 did, 2 by content unless the source is closed.
        contents: A digest of each image of train, if they are known already.

    Raises:
        DataError: No class has enough images for a validation split.
    """
    source = collection.train
    shares = (0.0 if collection.validation else validation, 0.0 if collection.test else test)
    if version == 1 or collection.closed:
        train, held, kept = assign_rows(source, *shares, seed)
    else:
        if contents is None:
            contents = read_contents(source) if any(shares) else source.keys
        train, held, kept = assign_by_content(contents, source.labels, *shares, seed)
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
