"""Metrics against scikit-learn, SciPy and formulas by hand; intervals and class weights."""

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
from sklearn.utils.class_weight import compute_class_weight

from cnnsearch.training import metrics

EXACT = 1e-12


def guesses(seed: int = 0, count: int = 300, classes: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes))
    logits[np.arange(count), labels] += 1.0
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities, labels


def balanced_and_f1(labels: np.ndarray, predictions: np.ndarray) -> tuple[float, float]:
    """Balanced accuracy and macro F1 by hand, as version 0.1 computed them."""
    classes = int(max(labels.max(), predictions.max())) + 1
    pairs = np.bincount(labels * classes + predictions, minlength=classes * classes)
    confusion = pairs.reshape(classes, classes)
    correct, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall = correct[true > 0] / true[true > 0]
    seen = true + predicted > 0
    return float(recall.mean()), float((2 * correct[seen] / (true + predicted)[seen]).mean())


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
@pytest.mark.parametrize("seed", range(20))
def test_class_metrics_are_scikit_learns_and_those_of_version_0_1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 8))
    labels = rng.choice(classes, 40, p=rng.dirichlet(np.ones(classes)))
    answers = np.where(rng.random(40) < 0.6, labels, rng.integers(0, classes, 40))
    found = metrics.compute_class_metrics(labels, answers, "val_")
    balanced, f1 = found["val_balanced_accuracy"], found["val_macro_f1"]
    assert balanced == pytest.approx(balanced_accuracy_score(labels, answers))
    assert f1 == pytest.approx(f1_score(labels, answers, average="macro", zero_division=0))
    assert (balanced, f1) == pytest.approx(balanced_and_f1(labels, answers), abs=EXACT)
    assert found["val_accuracy"] == (labels == answers).mean()


def test_always_the_largest_class_is_accurate_but_not_balanced() -> None:
    labels = np.array([0] * 9 + [1])
    outputs = np.array([[0.1] * 10, [0.0] * 10])
    found = metrics.compute_validation_metrics(outputs, labels)
    assert found["val_accuracy"] == pytest.approx(0.9)
    assert found["val_balanced_accuracy"] == pytest.approx(0.5)
    assert found["val_loss"] == pytest.approx(0.1)


def test_padding_counts_for_nothing() -> None:
    outputs = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 7.0]])
    found = metrics.compute_validation_metrics(outputs, np.array([1, 1]))
    assert found["val_macro_f1"] == pytest.approx(1 / 3)
    assert (found["val_loss"], found["val_accuracy"]) == (0.5, 0.5)


def test_class_weights_are_scikit_learns_and_0_for_a_class_without_images() -> None:
    labels = np.array([0] * 50 + [1] * 10 + [2] * 5)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert metrics.balance_class_weights(labels, 3) == pytest.approx(tuple(expected), abs=EXACT)
    by_hand = tuple(65 / (4 * n) for n in (50, 10, 5))
    assert metrics.balance_class_weights(labels, 4) == pytest.approx((*by_hand, 0.0), abs=EXACT)


def test_test_metrics_are_scikit_learns() -> None:
    probabilities, labels = guesses()
    found = metrics.compute_test_metrics(probabilities, labels)
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
    assert "test_top_5_accuracy" not in metrics.compute_test_metrics(*guesses(classes=9))


def test_calibration_error_by_hand() -> None:
    # Two bins: 0.9 sure and right half the time; 0.6 sure and always right.
    probabilities = np.array([[0.9, 0.1]] * 2 + [[0.6, 0.4]] * 2)
    labels = np.array([0, 1, 0, 0])
    found = metrics.compute_calibration_error(probabilities, labels)
    assert found == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


def test_confusions_have_true_classes_in_rows() -> None:
    probabilities, labels = guesses(3)
    expected = confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(12))
    found = metrics.count_confusions(probabilities, labels, 12)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int64
    assert found[2, 5] == ((labels == 2) & (probabilities.argmax(axis=1) == 5)).sum()


@pytest.mark.parametrize(("correct", "total"), [(0, 1), (1, 1), (5, 10), (9312, 10000), (0, 360)])
def test_the_interval_of_a_proportion_is_wilsons(correct: int, total: int) -> None:
    share, z = correct / total, 1.96
    centre = share + z * z / (2 * total)
    spread = z * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5
    scale = 1 + z * z / total
    expected = max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
    assert metrics.compute_wilson_interval(correct, total) == pytest.approx(expected, abs=EXACT)


def test_the_interval_of_seeds_is_students() -> None:
    values = [0.91, 0.93, 0.94, 0.92, 0.95]
    found = metrics.estimate_accuracy(values, 1000)
    expected = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.interval == "t"


def test_the_interval_of_one_seed_is_wilsons() -> None:
    found = metrics.estimate_accuracy([0.9], 1000)
    assert (found.low, found.high) == metrics.compute_wilson_interval(900, 1000)
    assert (found.std, found.interval) == (None, "wilson")


def test_a_class_that_the_split_lacks_warns_nobody(recwarn: pytest.WarningsRecorder) -> None:
    probabilities, labels = guesses(4)
    kept = labels != 3
    found = metrics.compute_test_metrics(probabilities[kept], labels[kept])
    assert 0 < found["test_balanced_accuracy"] < 1
    assert len(recwarn) == 0


def test_the_table_of_classes_is_scikit_learns() -> None:
    probabilities, labels = guesses(5, classes=3)
    table = metrics.tabulate_classes(probabilities, labels, ["a", "b", "c"])
    answers = probabilities.argmax(axis=1)
    assert [row["f1"] for row in table] == pytest.approx(f1_score(labels, answers, average=None))
    assert [row["images"] for row in table] == list(np.bincount(labels))
