"""Balanced accuracy."""

from typing import Any, ClassVar

from cnnsearch.training.objectives.base import Objective


class BalancedAccuracy(Objective):
    """The mean recall of the classes that occur among the labels."""

    name: ClassVar[str] = "balanced_accuracy"
    label: ClassVar[str] = "balanced accuracy"
    balanced: ClassVar[bool] = True

    def compute(self, labels: Any, predictions: Any) -> float:
        import numpy as np
        from sklearn.metrics import recall_score

        # balanced_accuracy_score is the same, but warns of predictions that occur in no label.
        present = np.unique(labels)
        return float(recall_score(labels, predictions, labels=present, average="macro"))
