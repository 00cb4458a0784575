"""scikit-learn's handwritten digits."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from cnnsearch.data.sources.arrays import ArrayExamples
from cnnsearch.data.sources.protocol import Collection, Folders, Source
from cnnsearch.errors import DataError


class DigitsSource(Source):
    """The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn."""

    kind = name = form = "digits"
    suggestions = ("digits",)

    @classmethod
    def recognize(cls, text: str, folders: Folders) -> Self | None:
        return cls() if text == cls.name else None

    def witness(self) -> str:
        return "digits"

    def open(self) -> Collection:
        names = tuple("0123456789")
        return Collection(names, list_digits(), None, None, flip=False, channels=1)

    @classmethod
    def reopen(cls, plan: Mapping[str, Any], folder: Path) -> ArrayExamples:
        return list_digits(plan["rows"])


def list_digits(rows: list[int] | None = None) -> ArrayExamples:
    """Returns these rows of the digits, or all; 8-bit grey, from levels of 0 to 16."""
    try:
        datasets: Any = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise DataError(
            "digits: scikit-learn is not installed (pip install scikit-learn)"
        ) from error
    bunch = datasets.load_digits()
    pixels = np.rint(bunch.images * (255.0 / 16.0)).astype(np.uint8)
    labels = bunch.target.tolist()
    return ArrayExamples(
        name="digits",
        length=len(pixels),
        rows=rows,
        pixels=lambda: pixels,
        classes=lambda: labels,
        ident="",
        origin={"kind": "digits"},
    )
