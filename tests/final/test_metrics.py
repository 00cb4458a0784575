"""Test metrics against scikit-learn and by hand; intervals and verdicts."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    top_k_accuracy_score,
)

from cnnsearch.final import metrics
from cnnsearch.verify import wilson


def guesses(seed: int = 0, count: int = 300, classes: int = 8) -> tuple[np.ndarray, np.ndarray]:
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
        "test_macro_f1": f1_score(labels, answers, average="macro"),
        "test_loss": log_loss(labels, probabilities),
        "test_top_5_accuracy": top_k_accuracy_score(labels, probabilities, k=5),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected)


def test_no_top_5_of_five_classes() -> None:
    assert "test_top_5_accuracy" not in metrics.test_metrics(*guesses(classes=5))


def test_calibration_error_by_hand() -> None:
    # Two bins: 0.9 sure and right half the time; 0.6 sure and always right.
    probabilities = np.array([[0.9, 0.1]] * 2 + [[0.6, 0.4]] * 2)
    labels = np.array([0, 1, 0, 0])
    assert metrics.calibration_error(probabilities, labels) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


def test_confusion_has_true_classes_in_rows() -> None:
    probabilities, labels = guesses(3)
    expected = confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(8))
    np.testing.assert_array_equal(metrics.confusion(probabilities, labels, 8), expected)


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


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        ([0.95, 0.951, 0.949], [0.90, 0.901, 0.899], "yes"),
        ([0.90, 0.901, 0.899], [0.95, 0.951, 0.949], "no"),
        ([0.95, 0.90, 0.92], [0.93, 0.91, 0.94], "unclear"),
        ([0.95], [0.80], "yes"),
        ([0.95], [0.955], "unclear"),
        ([0.9, 0.9], [0.9, 0.9], "unclear"),
    ],
)
def test_a_verdict_needs_more_than_a_difference(
    one: list[float], two: list[float], said: str
) -> None:
    found = metrics.verdict(metrics.estimate(one, 1000), metrics.estimate(two, 1000), 1000)
    assert found == said
