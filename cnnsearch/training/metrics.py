"""Metrics of predictions, their confidence intervals, and class weights.

scikit-learn and SciPy are imported where they are used: the command line imports this module.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnnsearch.training.objectives import OBJECTIVES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

BINS = 15
"""Bins of confidence for the calibration error, as in Guo et al. (arXiv:1706.04599)."""
TOP, TOP_FROM = 5, 10
"""Top-5 accuracy is computed from 10 classes on."""
WILSON_CONFIDENCE = 0.950004209703559
"""The confidence of z = 1.96, with which 95 % intervals of proportions are usually printed."""


def compute_class_metrics(
    labels: "npt.NDArray[Any]", predictions: "npt.NDArray[Any]", prefix: str
) -> dict[str, float]:
    """Computes the metric of every objective that is not of quantized predictions.

    Args:
        labels: true classes, int (N,), N at least 1.
        predictions: predicted classes, int (N,).
        prefix: of the metrics' keys, such as ``test_``.
    """
    plain = [each for each in OBJECTIVES if not each.quantized]
    return {f"{prefix}{each.name}": each.compute(labels, predictions) for each in plain}


def compute_validation_metrics(
    outputs: "npt.NDArray[Any]", labels: "npt.NDArray[Any]", prefix: str = "val_"
) -> dict[str, float]:
    """Computes loss, accuracy, balanced accuracy and macro F1 of a split.

    Args:
        outputs: weighted loss and predicted class of each example, (2, N or more): padding, whose
            loss is 0, is at the end.
        labels: int (N,).
        prefix: of the metrics' keys.
    """
    import numpy as np

    loss = float(outputs[0].sum(dtype=np.float64) / len(labels))
    predictions = outputs[1, : len(labels)].astype(np.int64)
    return {f"{prefix}loss": loss, **compute_class_metrics(labels, predictions, prefix)}


def compute_test_metrics(
    probabilities: "npt.NDArray[Any]", labels: "npt.NDArray[Any]"
) -> dict[str, float]:
    """Computes the test metrics of one model, with keys ``test_...``; all but the loss are shares.

    Args:
        probabilities: (N, classes).
        labels: int (N,).
    """
    import numpy as np
    from sklearn.metrics import precision_recall_fscore_support

    predictions = probabilities.argmax(axis=1)
    precision, recall, _, _ = precision_recall_fscore_support(
        labels, predictions, average="macro", zero_division=0
    )
    of_label = probabilities[np.arange(len(labels)), labels]
    metrics = {
        **compute_class_metrics(labels, predictions, "test_"),
        "test_macro_precision": float(precision),
        "test_macro_recall": float(recall),
        "test_loss": float(-np.log(np.maximum(of_label, 1e-12)).mean()),
        "test_calibration_error": compute_calibration_error(probabilities, labels),
    }
    if probabilities.shape[1] >= TOP_FROM:
        top = np.argsort(-probabilities, axis=1)[:, :TOP]
        metrics["test_top_5_accuracy"] = float((top == labels[:, None]).any(axis=1).mean())
    return metrics


def compute_calibration_error(
    probabilities: "npt.NDArray[Any]", labels: "npt.NDArray[Any]"
) -> float:
    """Computes the expected calibration error, Guo et al. (arXiv:1706.04599), equation 3.

    Args:
        probabilities: (N, classes).
        labels: int (N,).
    """
    import numpy as np

    # scikit-learn's calibration_curve gives the bins' means without their sizes.
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [
        abs(correct[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


def tabulate_classes(
    probabilities: "npt.NDArray[Any]", labels: "npt.NDArray[Any]", names: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns precision, recall, F1 and number of images of each class."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=range(len(names)), zero_division=0
    )
    return [
        {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "images": int(n)}
        for name, p, r, f, n in zip(names, *columns, strict=True)
    ]


def count_confusions(
    probabilities: "npt.NDArray[Any]", labels: "npt.NDArray[Any]", classes: int
) -> "npt.NDArray[np.int64]":
    """Returns the number of images of each true class (row) by predicted class (column)."""
    from sklearn.metrics import confusion_matrix

    matrix: npt.NDArray[np.int64] = confusion_matrix(
        labels, probabilities.argmax(axis=1), labels=range(classes)
    )
    return matrix


def balance_class_weights(labels: "npt.NDArray[Any]", classes: int) -> tuple[float, ...]:
    """Returns n / (k * n_c) for each class c, with which all classes weigh the same in the loss.

    A class without an example gets 0.

    Args:
        labels: int (N,).
        classes: k.
    """
    import numpy as np
    from sklearn.utils.class_weight import compute_class_weight

    present, weights = np.unique(labels), np.zeros(classes)
    among_present = compute_class_weight("balanced", classes=present, y=labels)
    weights[present] = among_present * len(present) / classes
    return tuple(weights.tolist())


def compute_wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """Returns the 95 % Wilson score interval of a proportion (Wilson, 1927)."""
    from scipy.stats import binomtest

    found = binomtest(correct, total).proportion_ci(WILSON_CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: of the values.
        std: their sample standard deviation; None for one value.
        low: lower end of the 95 % interval.
        high: its upper end.
        interval: ``t``: of the mean over seeds, by Student's t; ``wilson``: of one seed's share of
            correct predictions over the test images.
        values: one a seed.
    """

    mean: float
    std: float | None
    low: float
    high: float
    interval: str
    values: tuple[float, ...]


def estimate_accuracy(accuracies: Sequence[float], images: int) -> Estimate:
    """Returns mean, deviation and 95 % interval of test accuracies.

    Args:
        accuracies: of each seed.
        images: of the test split.
    """
    import numpy as np

    mean = float(np.mean(accuracies))
    if len(accuracies) == 1:
        low, high = compute_wilson_interval(round(mean * images), images)
        return Estimate(mean, None, low, high, "wilson", tuple(accuracies))
    from scipy.stats import t

    std = float(np.std(accuracies, ddof=1))
    half = float(t.ppf(0.975, len(accuracies) - 1)) * std / math.sqrt(len(accuracies))
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    return Estimate(mean, std, low, high, "t", tuple(accuracies))
