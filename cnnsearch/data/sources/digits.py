"""scikit-learn's handwritten digits."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from cnnsearch.data.sources.arrays import ArrayExamples
from cnnsearch.data.sources.protocol import Collection, Folders, Pixels, Source
from cnnsearch.errors import DataError


@dataclass(frozen=True, kw_only=True)
class DigitsExamples(ArrayExamples):
    """Rows of the digits."""

    kind = name = "digits"
    length: int = 1797

    def read_classes(self) -> Sequence[int]:
        labels: list[int] = _load().target.tolist()  # not NumPy integers: fingerprints show them
        return labels

    def read_images(self) -> Pixels:
        levels: Pixels = _load().images  # of 0 to 16
        return np.rint(levels * (255.0 / 16.0)).astype(np.uint8)


class DigitsSource(Source):
    """The 1,797 handwritten digits of 8x8 grey pixels that come with scikit-learn."""

    kind = name = form = "digits"
    suggestions = ("digits",)

    @classmethod
    def recognize(cls, text: str, folders: Folders) -> Self | None:
        return cls() if text == cls.name else None

    def witness(self) -> str:
        return "digits"

    def open(self) -> Collection:
        names = tuple("0123456789")
        return Collection(names, DigitsExamples(), None, None, flip=False, channels=1, closed=True)

    @classmethod
    def reopen(cls, plan: Mapping[str, Any], folder: Path) -> DigitsExamples:
        return DigitsExamples.from_plan(plan)


@cache
def _load() -> Any:
    try:
        return importlib.import_module("sklearn.datasets").load_digits()
    except ImportError as error:
        raise DataError(
            "digits: scikit-learn is not installed (pip install scikit-learn)"
        ) from error
