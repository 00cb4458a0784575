"""Test metrics against scikit-learn and by hand; intervals and verdicts."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    top_k_accuracy_score,
)

from cnnsearch.exporters.verify import wilson
from cnnsearch.studies.final import metrics


def guesses(seed: int = 0, count: int = 300, classes: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes))
    logits[np.arange(count), labels] += 1.0
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities, labels


def test_metrics_are_scikit_learns() -> None:
    probabilities, labels = guesses()
    found = metrics.test_metrics(probabilities, labels)
    answers = probabilities.argmax(axis=1)
    expected = {
        "test_accuracy": (answers == labels).mean(),
        "test_balanced_accuracy": balanced_accuracy_score(labels, answers),
        "test_macro_precision": precision_score(labels, answers, average="macro"),
        "test_macro_recall": recall_score(labels, answers, average="macro"),
        "test_macro_f1": f1_score(labels, answers, average="macro"),
        "test_loss": log_loss(labels, probabilities),
        "test_top_5_accuracy": top_k_accuracy_score(labels, probabilities, k=5),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected)


def test_no_top_5_of_few_classes() -> None:
    assert "test_top_5_accuracy" not in metrics.test_metrics(*guesses(classes=9))


def test_calibration_error_by_hand() -> None:
    # Two bins: 0.9 sure and right half the time; 0.6 sure and always right.
    probabilities = np.array([[0.9, 0.1]] * 2 + [[0.6, 0.4]] * 2)
    labels = np.array([0, 1, 0, 0])
    assert metrics.calibration_error(probabilities, labels) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


def test_confusion_has_true_classes_in_rows() -> None:
    probabilities, labels = guesses(3)
    expected = confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(12))
    np.testing.assert_array_equal(metrics.confusion(probabilities, labels, 12), expected)


def test_the_interval_of_seeds_is_students() -> None:
    values = [0.91, 0.93, 0.94, 0.92, 0.95]
    found = metrics.estimate(values, 1000)
    expected = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.interval == "t"


def test_the_interval_of_one_seed_is_wilsons() -> None:
    found = metrics.estimate([0.9], 1000)
    assert (found.low, found.high) == wilson(900, 1000)
    assert (found.std, found.interval) == (None, "wilson")


def test_a_class_that_the_test_split_lacks_warns_nobody(recwarn: pytest.WarningsRecorder) -> None:
    probabilities, labels = guesses(4)
    kept = labels != 3
    found = metrics.test_metrics(probabilities[kept], labels[kept])
    assert 0 < found["test_balanced_accuracy"] < 1
    assert len(recwarn) == 0


def test_the_table_of_classes_is_scikit_learns() -> None:
    probabilities, labels = guesses(5, classes=3)
    table = metrics.class_table(probabilities, labels, ["a", "b", "c"])
    answers = probabilities.argmax(axis=1)
    assert [row["f1"] for row in table] == pytest.approx(f1_score(labels, answers, average=None))
    assert [row["images"] for row in table] == list(np.bincount(labels))
