"""What a model's answers on a split come to."""

from typing import Any

import numpy as np
import numpy.typing as npt

OBJECTIVES = ("accuracy", "balanced_accuracy", "macro_f1")
"""What a search may rank candidates by, on the validation split; all of them at most 1."""


def measured(objective: str) -> str:
    """Returns the words for a score in a table's head: ``val balanced accuracy``."""
    return f"val {objective.replace('_', ' ')}"


def class_scores(labels: npt.NDArray[Any], answers: npt.NDArray[Any]) -> tuple[float, float]:
    """Returns balanced accuracy and macro F1 over the classes that occur.

    Balanced accuracy is the mean recall of the classes among the labels; a class in answers alone
    counts for F1 (with 0), as in scikit-learn.

    Args:
        labels: int (N,), N at least 1.
        answers: int (N,).
    """
    classes = int(max(labels.max(), answers.max())) + 1
    pairs = np.bincount(labels * classes + answers, minlength=classes * classes)
    confusion = pairs.reshape(classes, classes)
    right, given, said = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall = right[given > 0] / given[given > 0]
    seen = given + said > 0
    f1 = 2 * right[seen] / (given + said)[seen]
    return float(recall.mean()), float(f1.mean())


def validation_metrics(
    found: npt.NDArray[Any], labels: npt.NDArray[Any], prefix: str = "val_"
) -> dict[str, float]:
    """Returns loss, accuracy, balanced accuracy and macro F1 of a split.

    Args:
        found: loss, right answer and answer of each example, (3, N or more): padding is at the end.
        labels: int (N,).
        prefix: of the metrics' names.
    """
    count = len(labels)
    loss, right = found[:2].sum(axis=1, dtype=np.float64) / count
    balanced, f1 = class_scores(labels, found[2, :count].astype(np.int64))
    values = {
        "loss": float(loss),
        "accuracy": float(right),
        "balanced_accuracy": balanced,
        "macro_f1": f1,
    }
    return {f"{prefix}{name}": value for name, value in values.items()}


def balanced_weights(labels: npt.NDArray[Any], classes: int) -> tuple[float, ...]:
    """Returns n / (k * n_c) of each class c: all classes then weigh the same in the loss.

    A class without an example gets 0.

    Args:
        labels: int (N,).
        classes: k.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (classes * np.maximum(counts, 1)) * (counts > 0)
    return tuple(float(weight) for weight in weights)
