"""What is known of a data set once every image of it has been looked at."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

import numpy as np

from cnnsearch.data.inspection.copies import Copies
from cnnsearch.data.inspection.facts import Facts
from cnnsearch.data.inspection.plan import Plan
from cnnsearch.data.inspection.scan import Part
from cnnsearch.data.sources.protocol import printable

BINS = 16


@dataclass(frozen=True)
class SplitCount:
    """A split as a search would use it.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        carved: whether cnnsearch holds it out of train, because the source has no such split.
        images: that can be read.
        unreadable: that cannot.
        classes: readable images of each class, in the order of the class names.
    """

    name: str
    carved: bool
    images: int
    unreadable: int
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Spread:
    """How a measure is distributed over the images.

    Attributes:
        smallest: value.
        median: value.
        largest: value.
        histogram: images in each of 16 equally wide bins from smallest to largest.
    """

    smallest: float
    median: float
    largest: float
    histogram: tuple[int, ...]


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be decoded: where it is, and why."""

    split: str
    key: str
    label: str
    reason: str


@dataclass(frozen=True)
class Finding:
    """Something that the user should know, in one sentence; ``error``: a search would refuse it."""

    level: Literal["error", "warning", "note"]
    text: str


@dataclass(frozen=True)
class DataReport:
    """What `cnnsearch.describe` found.

    Attributes:
        source: as it was given.
        seed: of the splits that are carved.
        class_names: in the order of the labels.
        splits: train, validation and test, counted.
        imbalance: of train, largest class to smallest; None if a class is empty.
        bytes: of all files or arrays.
        height: in pixels.
        width: in pixels.
        aspect: width to height.
        file_bytes: of one image.
        sizes: the ten most frequent ``HEIGHTxWIDTH``, each with its number of images.
        formats: images by file format.
        colours: images by the way their colours are saved.
        animated: images with several frames, of which only the first is used.
        colourless: images all of whose pixels are grey, however they are saved.
        unreadable: each of them.
        copies: duplicates and leaks.
        plan: what a search does with it.
        findings: what to know, the worst first.
        sheet: the contact sheet that was written, or None.
    """

    source: str
    seed: int
    class_names: tuple[str, ...]
    splits: tuple[SplitCount, ...]
    imbalance: float | None
    bytes: int
    height: Spread
    width: Spread
    aspect: Spread
    file_bytes: Spread
    sizes: Mapping[str, int]
    formats: Mapping[str, int]
    colours: Mapping[str, int]
    animated: int
    colourless: int
    unreadable: tuple[Unreadable, ...]
    copies: Copies
    plan: Plan
    findings: tuple[Finding, ...] = ()
    sheet: str | None = None

    @property
    def images(self) -> int:
        """Images that can be read, of all splits."""
        return sum(split.images for split in self.splits)

    def to_data(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return {**asdict(self), "images": self.images}


def count_split(part: Part, classes: int) -> SplitCount:
    """Counts the images of a split."""
    labels = part.examples.labels
    per_class = Counter(labels[row] for row in part.readable)
    bad = len(part.facts) - len(part.readable)
    counts = tuple(per_class[label] for label in range(classes))
    return SplitCount(part.name, part.carved, len(part.readable), bad, counts)


def imbalance(train: SplitCount) -> float | None:
    """Returns the largest class of a split divided by its smallest."""
    smallest = min(train.classes)
    return max(train.classes) / smallest if smallest else None


def spread(values: Sequence[float]) -> Spread:
    """Returns how values are distributed."""
    low, high = min(values), max(values)
    bins, _ = np.histogram(values, BINS, (low, high if high > low else low + 1))
    return Spread(low, float(median(values)), high, tuple(map(int, bins)))


def unreadable(part: Part, names: Sequence[str]) -> list[Unreadable]:
    """Returns the images of a split that cannot be read."""
    labels, keys = part.examples.labels, part.examples.keys
    return [
        Unreadable(part.name, printable(keys[row]), names[labels[row]], one.reason)
        for row, one in enumerate(part.facts)
        if one.reason
    ]


def tally(facts: Sequence[Facts], what: Callable[[Facts], str]) -> dict[str, int]:
    """Returns how many images have each value, the most frequent first."""
    return dict(Counter(map(what, facts)).most_common())
