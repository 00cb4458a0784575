"""Accuracy."""

from typing import Any, ClassVar

from cnnsearch.training.objectives.base import Objective


class Accuracy(Objective):
    """The share of images whose class is predicted correctly."""

    name: ClassVar[str] = "accuracy"
    label: ClassVar[str] = "accuracy"

    def compute(self, labels: Any, predictions: Any) -> float:
        return float((labels == predictions).mean())
