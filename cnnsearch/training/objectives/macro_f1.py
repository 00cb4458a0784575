"""Macro F1."""

from typing import Any, ClassVar

from cnnsearch.training.objectives.base import Objective


class MacroF1(Objective):
    """The mean F1 of the classes that occur among labels or predictions."""

    name: ClassVar[str] = "macro_f1"
    label: ClassVar[str] = "macro F1"
    balanced: ClassVar[bool] = True

    def compute(self, labels: Any, predictions: Any) -> float:
        from sklearn.metrics import f1_score

        return float(f1_score(labels, predictions, average="macro", zero_division=0))
