"""What inspecting every image of a data set found, as plain data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal, Self

import numpy as np

from cnnsearch.data.inspection.copies import Copies
from cnnsearch.data.inspection.plan import Plan
from cnnsearch.data.inspection.scan import Part
from cnnsearch.data.sources.protocol import LeftOut, show_path

BINS = 16


@dataclass(frozen=True)
class SplitCount:
    """A split as a search would use it.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        carved: Whether it is taken from train, because the source has no such split.
        images: Number of readable ones.
        unreadable: Number of others.
        classes: Readable images of each class, in the order of the class names.
    """

    name: str
    carved: bool
    images: int
    unreadable: int
    classes: tuple[int, ...]

    @classmethod
    def of(cls, part: Part, classes: int) -> Self:
        """Counts the images of a split."""
        readable = part.readable
        counts = Counter(part.examples.labels[row] for row in readable)
        per_class = tuple(counts[label] for label in range(classes))
        return cls(
            part.name, part.carved, len(readable), len(part.facts) - len(readable), per_class
        )


@dataclass(frozen=True)
class Spread:
    """The distribution of a measure: ``histogram`` counts 16 equal bins, smallest to largest."""

    smallest: float
    median: float
    largest: float
    histogram: tuple[int, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Computes the distribution of these values."""
        low, high = min(values), max(values)
        bins, _ = np.histogram(values, BINS, (low, high if high > low else low + 1))
        return cls(low, float(median(values)), high, tuple(map(int, bins)))


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be decoded: where it is, and why."""

    split: str
    key: str
    label: str
    reason: str


@dataclass(frozen=True)
class Finding:
    """A problem or a remark, in one sentence; on an ``error``, a search would refuse the data."""

    level: Literal["error", "warning", "note"]
    text: str


@dataclass(frozen=True)
class DataReport:
    """What `cnnsearch.describe` found.

    Attributes:
        source: As it was given.
        seed: Of the splits that are taken from train.
        class_names: In the order of the labels.
        splits: train, validation and test, counted.
        imbalance: Of train, largest class to smallest; None if a class is empty.
        bytes: Of all files or arrays.
        height: In pixels.
        width: In pixels.
        aspect: Width to height.
        file_bytes: Of one image.
        sizes: The ten most frequent ``HEIGHTxWIDTH``, each with its number of images.
        formats: Images by file format.
        colours: Images by colour mode of the file.
        animated: Images with several frames, of which only the first is used.
        colourless: Images whose pixels are all grey, in whatever mode.
        unreadable: Each of them.
        left_out: Files that are not used, each with the reason.
        copies: Duplicates and leaks between splits.
        plan: How a search uses the images.
        findings: Problems and remarks, the worst first.
        sheet: The contact sheet that was written, or None.
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
    left_out: tuple[LeftOut, ...]
    copies: Copies
    plan: Plan
    findings: tuple[Finding, ...] = ()
    sheet: str | None = None

    @property
    def images(self) -> int:
        """Readable images of all splits."""
        return sum(split.images for split in self.splits)

    def to_data(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return {**asdict(self), "images": self.images}


def list_unreadable(part: Part, names: Sequence[str]) -> list[Unreadable]:
    """Returns the images of a split that cannot be read."""
    labels, keys = part.examples.labels, part.examples.keys
    return [
        Unreadable(part.name, show_path(keys[row]), names[labels[row]], one.reason)
        for row, one in enumerate(part.facts)
        if one.reason
    ]
