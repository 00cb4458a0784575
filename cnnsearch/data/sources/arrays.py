"""Images in arrays: scikit-learn's digits and arrays that the caller holds."""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any, Protocol

import numpy as np

from cnnsearch.data.sources.protocol import Collection, Item, Pixels, are_characters, digest
from cnnsearch.data.sources.split import check_classes
from cnnsearch.errors import DataError


class Rows(Protocol):
    """Images by their row: an array, or a file that is read a row at a time."""

    def __getitem__(self, row: int, /) -> Any: ...


@dataclass(frozen=True)
class ArrayExamples:
    """Rows of an array that is loaded when the first of them is read; see `Examples`."""

    name: str
    length: int
    pixels: Callable[[], Rows]
    classes: Callable[[], Sequence[int]]
    ident: str
    origin: Mapping[str, Any] | None = None
    rows: Sequence[int] | None = None

    @cached_property
    def keys(self) -> Sequence[str]:
        """A name for each image."""
        return [f"{self.name}[{row}]" for row in self._rows]

    @cached_property
    def labels(self) -> Sequence[int]:
        """The class index of each image."""
        classes = self.classes()
        return [classes[row] for row in self._rows]

    @property
    def _rows(self) -> Sequence[int]:
        return range(self.length) if self.rows is None else self.rows

    def __len__(self) -> int:
        return len(self._rows)

    def items(self) -> Iterator[Item]:
        """The images, each read when its item is called."""
        pixels = self.pixels()  # not in the threads that decode, which would all do it at once
        return (partial(pixels.__getitem__, row) for row in self._rows)

    def take(self, rows: Sequence[int]) -> "ArrayExamples":
        """The examples of these rows."""
        return replace(self, rows=[self._rows[row] for row in rows])

    def stamp(self) -> str:
        """What is known without reading an image."""
        return digest(self.name, self.ident, list(self._rows))

    def plan(self) -> Mapping[str, Any] | None:
        """How to list these examples again."""
        rows = None if self.rows is None else [int(row) for row in self.rows]
        return None if self.origin is None else {**self.origin, "rows": rows}


class DigitsSource:
    """The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn."""

    name = "digits"

    def witness(self) -> str:
        """Changes whenever the source may have changed."""
        return "digits"

    def open(self) -> Collection:
        """Lists the examples."""
        return Collection(
            tuple("0123456789"), reopen_digits({"rows": None}), None, None, flip=False, channels=1
        )


def reopen_digits(plan: Mapping[str, Any]) -> ArrayExamples:
    """Returns the rows of digits that a plan names."""
    try:
        datasets: Any = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise DataError(
            "digits: scikit-learn is not installed (pip install scikit-learn)"
        ) from error
    bunch = datasets.load_digits()
    pixels = np.rint(bunch.images * (255.0 / 16.0)).astype(np.uint8)
    labels = [int(label) for label in bunch.target]
    return ArrayExamples(
        "digits", len(pixels), lambda: pixels, lambda: labels, "", {"kind": "digits"}, plan["rows"]
    )


class MemorySource:
    """Arrays in memory: (images, labels) of train and, if there are, of the other splits."""

    def __init__(
        self,
        pairs: Mapping[str, tuple[Any, Any] | None],
        class_names: Sequence[str] | None,
        name: str,
        flip: bool | None,
    ) -> None:
        self.name = name
        self._flip = flip
        self._names = class_names
        self._pairs = {
            role: (np.asarray(pair[0]), np.asarray(pair[1]))
            for role, pair in pairs.items()
            if pair is not None
        }

    def size(self) -> tuple[int, int]:
        """Height and width of the training images."""
        x, y = self._pairs["train"]
        check_shapes(f"{self.name}, train", (x.shape, x.dtype), (y.shape, y.dtype))
        return int(x.shape[1]), int(x.shape[2])

    @cached_property
    def _idents(self) -> dict[str, str]:
        return {
            role: digest(*(part for a in pair for part in (a.shape, a.dtype.str, a.tobytes())))
            for role, pair in self._pairs.items()
            if not any(array.dtype.hasobject for array in pair)
        }

    def witness(self) -> str:
        """Changes whenever the source may have changed."""
        return digest("arrays", self._names, self._flip, sorted(self._idents.items()))

    def open(self) -> Collection:
        """Lists the examples."""
        for role, (x, y) in self._pairs.items():
            check_shapes(f"{self.name}, {role}", (x.shape, x.dtype), (y.shape, y.dtype))
        seen = [y for role, (_, y) in self._pairs.items() if role != "test"]
        values, names = class_values(seen, self._names, self.name)
        parts = {
            role: ArrayExamples(
                role,
                len(x),
                cache(partial(check_range, x, f"{self.name}, {role}")),
                cache(partial(indices, y, values, f"{self.name}, {role}")),
                self._idents[role],
            )
            for role, (x, y) in self._pairs.items()
        }
        return collect(parts, names, self.name, depth_of(self._pairs["train"][0].shape), self._flip)


def collect(
    parts: Mapping[str, ArrayExamples],
    names: tuple[str, ...],
    where: str,
    depth: int,
    flip: bool | None,
) -> Collection:
    """Puts the splits of an array source together; small grey classes 0..9 are taken for digits."""
    check_classes(parts["train"].labels, names, where)
    safe = depth != 1 or not are_characters(names)
    return Collection(
        names,
        parts["train"],
        parts.get("validation"),
        parts.get("test"),
        flip=safe if flip is None else flip,
        channels=1 if depth == 1 else None,
    )


def check_shapes(where: str, x: tuple[Any, Any], y: tuple[Any, Any]) -> None:
    """Refuses arrays that are not images with one integer label each, by shape and type alone."""
    (shape, kind), (label_shape, label_kind) = x, y
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3, 4)):
        first = len(shape) == 4 and shape[1] in (1, 3)
        hint = "; move the channels to the end" if first else ""
        raise DataError(
            f"{where}: images must be (N, H, W) or (N, H, W, 1, 3 or 4), got {_text(shape)}{hint}"
        )
    if kind.kind not in "fiub":
        raise DataError(f"{where}: images must be uint8 or float in 0..1, got {kind}")
    if label_kind.kind not in "iub":
        raise DataError(f"{where}: labels must be integers, got {label_kind}")
    if len(label_shape) != 1 and tuple(label_shape[1:]) != (1,):
        raise DataError(
            f"{where}: labels must be one integer an image (N,), got {_text(label_shape)}; "
            "take argmax(axis=1) of one-hot labels"
        )
    if shape[0] != label_shape[0]:
        raise DataError(f"{where}: {shape[0]} images but {label_shape[0]} labels")
    if 0 in shape:
        raise DataError(f"{where}: no images, shape {_text(shape)}")


def check_range(x: Pixels, where: str) -> Pixels:
    """Returns the images if floats are within 0..1 and integers within 0..255."""
    check_span(x.dtype, lambda: (x.min(), x.max()), where)
    return x


def check_span(kind: "np.dtype[Any]", span: Callable[[], tuple[float, float]], where: str) -> None:
    """Refuses values of a type within this span that are no pixels; uint8 need not be looked at."""
    if kind == np.uint8 or kind.kind == "b":
        return
    top = 1 if kind.kind == "f" else 255
    low, high = span()
    if not (low >= 0 and high <= top):
        raise DataError(
            f"{where}: {kind} images must be within 0..{top}, found {low:g} to {high:g}"
        )


def class_values(
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


def indices(y: Pixels, values: Sequence[int], where: str) -> list[int]:
    """Returns the class index of each label."""
    known = {value: index for index, value in enumerate(values)}
    try:
        return [known[int(value)] for value in y.reshape(-1)]
    except KeyError as error:
        raise DataError(
            f"{where}: label {error} is none of the {len(values)} classes known from training"
        ) from error


def depth_of(shape: Sequence[int]) -> int:
    """Returns the channels of an array of images by its shape."""
    return 1 if len(shape) == 3 else shape[3]


def _text(shape: Sequence[int]) -> str:
    return "(" + ", ".join(str(side) for side in shape) + ")"
