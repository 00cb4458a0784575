"""Images in arrays: their examples, and the checks on what an array may hold."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from cnnsearch.data.sources.protocol import Collection, Item, Pixels, are_characters, digest
from cnnsearch.data.sources.split import check_classes
from cnnsearch.errors import DataError


class Rows(Protocol):
    """Images by their row: an array, or a file that is read a row at a time."""

    def __getitem__(self, row: int, /) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class RowExamples(ABC):
    """Rows of a split; the fields of a subclass are its plan, except those with ``repr=False``.

    Attributes:
        length: Of the whole split.
        rows: Of the split; None: all.
    """

    kind: ClassVar[str]
    length: int
    rows: Sequence[int] | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """Of the split, which starts the keys."""

    @abstractmethod
    def read_classes(self) -> Sequence[int]:
        """Returns the class indices of the whole split."""

    @cached_property
    def keys(self) -> Sequence[str]:
        return [f"{self.name}[{row}]" for row in self.numbers]

    @cached_property
    def labels(self) -> Sequence[int]:
        classes = self.read_classes()
        return [classes[row] for row in self.numbers]

    @property
    def numbers(self) -> Sequence[int]:
        """The row of each example."""
        return range(self.length) if self.rows is None else self.rows

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Sequence[int]) -> Self:
        return replace(self, rows=[self.numbers[row] for row in rows])

    @classmethod
    def from_plan(cls, plan: Mapping[str, Any], **more: Any) -> Self:
        """Returns the examples of a plan, with the fields that it lacks."""
        return cls(**{key: value for key, value in plan.items() if key != "kind"}, **more)

    def plan(self) -> Mapping[str, Any]:
        planned = (each.name for each in fields(self) if each.repr)
        return {"kind": self.kind, **{name: getattr(self, name) for name in planned}}


@dataclass(frozen=True, kw_only=True)
class ArrayExamples(RowExamples):
    """Rows of an array that is read when the first of them is.

    Attributes:
        ident: Known of the content without reading it; part of the fingerprint.
    """

    ident: str = ""

    @abstractmethod
    def read_images(self) -> Rows:
        """Returns the images of the whole split, to be indexed by row."""

    def items(self) -> Iterator[Item]:
        images = self.read_images()  # here, not by each of the threads that decode
        return (partial(images.__getitem__, row) for row in self.numbers)

    def stamp(self) -> str:
        return digest(self.name, self.ident, list(self.numbers))


def collect_splits(
    parts: Mapping[str, ArrayExamples], names: tuple[str, ...], where: str, depth: int
) -> Collection:
    """Returns the collection of these splits, of arrays with so many channels."""
    check_classes(parts["train"].labels, names, where)
    return Collection(
        names,
        parts["train"],
        parts.get("validation"),
        parts.get("test"),
        flip=depth != 1 or not are_characters(names),
        channels=1 if depth == 1 else None,
    )


def check_shapes(where: str, x: tuple[Any, Any], y: tuple[Any, Any]) -> None:
    """Refuses arrays that are not images with an integer label each.

    Args:
        where: For messages.
        x: Shape and type of the images.
        y: Shape and type of the labels.

    Raises:
        DataError: Says which rule is broken, and the shape or type that breaks it.
    """
    (shape, kind), (label_shape, label_kind) = x, y
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3, 4)):
        first = len(shape) == 4 and shape[1] in (1, 3)
        hint = "; move the channels to the end" if first else ""
        raise DataError(
            f"{where}: images must be (N, H, W) or (N, H, W, 1, 3 or 4), got {tuple(shape)}{hint}"
        )
    if kind.kind not in "fiub":
        raise DataError(f"{where}: images must be uint8 or float in 0..1, got {kind}")
    if label_kind.kind not in "iub":
        raise DataError(f"{where}: labels must be integers, got {label_kind}")
    if len(label_shape) != 1 and tuple(label_shape[1:]) != (1,):
        raise DataError(
            f"{where}: labels must be one integer an image (N,), got {tuple(label_shape)}; "
            "take argmax(axis=1) of one-hot labels"
        )
    if shape[0] != label_shape[0]:
        raise DataError(f"{where}: {shape[0]} images but {label_shape[0]} labels")
    if 0 in shape:
        raise DataError(f"{where}: no images, shape {tuple(shape)}")


def check_range(kind: "np.dtype[Any]", span: Callable[[], tuple[float, float]], where: str) -> None:
    """Refuses values that are no pixels; of uint8, ``span`` is not computed.

    Args:
        kind: Type of the images.
        span: Returns their smallest and largest value.
        where: For messages.

    Raises:
        DataError: Floats are not within 0..1, or integers not within 0..255.
    """
    if kind == np.uint8 or kind.kind == "b":
        return
    top = 1 if kind.kind == "f" else 255
    low, high = span()
    if not (low >= 0 and high <= top):  # NaN is refused, too
        raise DataError(
            f"{where}: {kind} images must be within 0..{top}, found {low:g} to {high:g}"
        )


def find_classes(
    arrays: Sequence[Pixels], names: Sequence[str] | None, where: str
) -> tuple[list[int], tuple[str, ...]]:
    """Returns the labels that stand for classes, in order, and the names of the classes."""
    if names is not None:
        texts = tuple(str(name) for name in names)
        if len(set(texts)) < len(texts):
            raise DataError(f"{where}: a class name occurs twice in {', '.join(texts)}")
        return list(range(len(texts))), texts
    found = sorted({int(value) for array in arrays for value in np.unique(array)})
    return found, tuple(str(value) for value in found)


def index_labels(y: Pixels, values: Sequence[int], where: str) -> list[int]:
    """Returns the class index of each label."""
    known = {value: index for index, value in enumerate(values)}
    try:
        return [known[int(value)] for value in y.reshape(-1)]
    except KeyError as error:
        raise DataError(
            f"{where}: label {error} is none of the {len(values)} classes known from training"
        ) from error


def count_channels(shape: Sequence[int]) -> int:
    """Returns the channels of an array of images by its shape."""
    return 1 if len(shape) == 3 else shape[3]
