"""What class probabilities on a test split come to, and how sure that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnsearch.exporters.verify import wilson
from cnnsearch.training.metrics import class_scores

BINS = 15
"""Of confidence, for the calibration error: as in Guo et al. (arXiv:1706.04599)."""
TOP, TOP_FROM = 5, 10
"""Of so many classes on, it is told how often the true one is among the first five."""


def test_metrics(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> dict[str, float]:
    """Returns the metrics of one model, each named ``test_...`` and a share but the loss.

    Args:
        probabilities: (N, classes).
        labels: int (N,).
    """
    from sklearn.metrics import precision_recall_fscore_support

    answers = probabilities.argmax(axis=1)
    balanced, _ = class_scores(labels, answers)
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, answers, average="macro", zero_division=0
    )
    likely = probabilities[np.arange(len(labels)), labels]
    found = {
        "accuracy": float((answers == labels).mean()),
        "balanced_accuracy": balanced,
        "macro_precision": float(precision),
        "macro_recall": float(recall),
        "macro_f1": float(f1),
        "loss": float(-np.log(np.maximum(likely, 1e-12)).mean()),
        "calibration_error": calibration_error(probabilities, labels),
    }
    if probabilities.shape[1] >= TOP_FROM:
        best = np.argsort(-probabilities, axis=1)[:, :TOP]
        found["top_5_accuracy"] = float((best == labels[:, None]).any(axis=1).mean())
    return {f"test_{name}": value for name, value in found.items()}


def calibration_error(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """Returns the expected calibration error, Guo et al. (arXiv:1706.04599), equation 3.

    Args:
        probabilities: (N, classes).
        labels: int (N,).
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [
        abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


def class_table(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[Any], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns precision, recall, F1 and images of each class."""
    from sklearn.metrics import precision_recall_fscore_support

    every = precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=range(len(names)), zero_division=0
    )
    return [
        {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "images": int(n)}
        for name, p, r, f, n in zip(names, *every, strict=True)
    ]


def confusion(
    probabilities: npt.NDArray[Any], labels: npt.NDArray[Any], classes: int
) -> npt.NDArray[np.int64]:
    """Returns how many images of each class (row) were taken for each class (column)."""
    pairs = labels.astype(np.int64) * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: of the values.
        std: their sample standard deviation; None for one value.
        low: lower end of the 95 % interval.
        high: its upper end.
        interval: ``t``: of the mean over seeds, by Student's t; ``wilson``: of one seed's share of
            right answers over the test images.
        values: one a seed.
    """

    mean: float
    std: float | None
    low: float
    high: float
    interval: str
    values: tuple[float, ...]


def estimate(accuracies: Sequence[float], images: int) -> Estimate:
    """Returns mean, deviation and 95 % interval of test accuracies.

    Args:
        accuracies: of each seed.
        images: of the test split.
    """
    mean = float(np.mean(accuracies))
    if len(accuracies) == 1:
        low, high = wilson(round(mean * images), images)
        return Estimate(mean, None, low, high, "wilson", tuple(accuracies))
    from scipy.stats import t

    std = float(np.std(accuracies, ddof=1))
    half = float(t.ppf(0.975, len(accuracies) - 1)) * std / math.sqrt(len(accuracies))
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    return Estimate(mean, std, low, high, "t", tuple(accuracies))
