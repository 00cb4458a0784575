"""Class scores and class weights, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.utils.class_weight import compute_class_weight

from cnnsearch.training.metrics import balanced_weights, class_scores, validation_metrics


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
@pytest.mark.parametrize("seed", range(20))
def test_class_scores_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 8))
    labels = rng.choice(classes, 40, p=rng.dirichlet(np.ones(classes)))
    answers = np.where(rng.random(40) < 0.6, labels, rng.integers(0, classes, 40))
    balanced, f1 = class_scores(labels, answers)
    assert balanced == pytest.approx(balanced_accuracy_score(labels, answers))
    assert f1 == pytest.approx(f1_score(labels, answers, average="macro", zero_division=0))


def test_always_the_largest_class_is_accurate_but_not_balanced() -> None:
    labels = np.array([0] * 9 + [1])
    found = np.array([[0.1] * 10, [1.0] * 9 + [0.0], [0.0] * 10])
    metrics = validation_metrics(found, labels)
    assert metrics["val_accuracy"] == pytest.approx(0.9)
    assert metrics["val_balanced_accuracy"] == pytest.approx(0.5)
    assert metrics["val_loss"] == pytest.approx(0.1)


def test_padding_counts_for_nothing() -> None:
    found = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 7.0]])
    assert validation_metrics(found, np.array([1, 1]))["val_macro_f1"] == pytest.approx(1 / 3)


def test_balanced_weights_are_scikit_learns() -> None:
    labels = np.array([0] * 50 + [1] * 10 + [2] * 5)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert balanced_weights(labels, 3) == pytest.approx(tuple(expected))
    assert balanced_weights(labels, 4)[3] == 0.0
