"""Searches on unbalanced classes: what ranks, what weighs, what is said."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.data import Dataset, from_arrays
from cnnsearch.engine.display import Plain
from cnnsearch.engine.run_data import compute_class_weights
from cnnsearch.engine.search import search
from cnnsearch.engine.search_session import describe_imbalance
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.mlflow import entries, pages
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.augmentation_ops import Targets
from cnnsearch.training.losses import TrainingLoss
from cnnsearch.training.messages import TrialTask
from cnnsearch.training.metrics import balance_class_weights
from cnnsearch.training.objectives import find_objective
from cnnsearch.training.trainer import Training
from tests.conftest import architecture

SPACE = """
input: [8, 8, 1]
classes: 10
stem: [{type: conv, filters: {choice: [4, 6]}}]
recipe: {epochs: 2, batch_size: 64, learning_rate: 0.01}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Path:
    """Digits 0 and 1 only, one 1 to six 0s."""
    images, labels = np.asarray(digits.train.images()), digits.train.labels()
    zeros, ones = (np.flatnonzero(labels == i) for i in (0, 1))
    rows = np.concatenate([zeros[:96], ones[:16]])
    path = tmp_path_factory.mktemp("rare") / "rare.npz"
    np.savez(path, x=images[rows], y=labels[rows])
    return path


def settings(**changes: Any) -> Settings:
    return Settings.create(SPACE, "space", **changes)


def rare(file: Path) -> Dataset:
    with np.load(file) as found:
        return from_arrays(found["x"], found["y"], cache=file.parent / "cache")


def test_unbalanced_classes_are_reported_with_the_remedy(file: Path) -> None:
    told = describe_imbalance(settings(), rare(file))
    assert "7.0 to 1" in told
    assert "--objective balanced_accuracy --class-weights balanced" in told
    assert describe_imbalance(settings(class_weights="balanced"), rare(file)) == ""


def test_balanced_classes_are_not(digits: Dataset) -> None:
    assert describe_imbalance(settings(), digits) == ""


def test_class_weights_are_those_of_the_training_split(file: Path) -> None:
    data = rare(file)
    found = compute_class_weights(settings(class_weights="balanced"), data)
    assert found == balance_class_weights(data.train.labels(), 2)
    assert found[1] > 4 * found[0]
    assert compute_class_weights(settings(), data) == ()


def test_the_best_epoch_is_the_objectives(digits: Dataset, tmp_path: Path) -> None:
    recipe = TrainingRecipe(batch_size=128)
    task = TrialTask("t", architecture(), recipe, digits, tmp_path, 3, objective="macro_f1")
    training = Training(task)
    history = {epoch.number: epoch.metrics for epoch in training.run()}
    found = training.get_measurement()
    best = max(history, key=lambda e: (history[e]["val_macro_f1"], -history[e]["val_loss"]))
    assert found.best_epoch == best
    assert found.score("macro_f1") == history[best]["val_macro_f1"]


def test_a_search_ranks_by_its_objective(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    result = search(
        space_file(tmp_path), f"npz:{file}", trials=2, strategy="random", workers=0,
        runs=tmp_path / "runs", name="r", objective="balanced_accuracy",
        class_weights="balanced", callback=Plain(Console(soft_wrap=True)),
    )  # fmt: skip
    for trial in result.trials:
        assert trial.score == trial.metrics["val_balanced_accuracy"]
    assert result.best is not None
    assert result.best.score == max(trial.score or 0 for trial in result.trials)
    assert "validation balanced accuracy" in capsys.readouterr().out
    with pytest.raises(CnnsearchError, match="begun with another value of --objective"):
        search(
            space_file(tmp_path), f"npz:{file}", trials=2, strategy="random", workers=0,
            runs=tmp_path / "runs", name="r", class_weights="balanced",
        )  # fmt: skip


def space_file(folder: Path) -> Path:
    path = folder / "space.yaml"
    path.write_text(SPACE)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "acuracy"}, "--objective: expected accuracy, .* did you mean 'accuracy'"),
        ({"class_weights": "yes"}, "--class-weights: expected none or balanced, got 'yes'"),
        ({"train_share": 0.0}, "--train-share: expected above 0 and at most 1, got 0"),
        ({"changes": ("emma=1",)}, "--set: recipe.emma"),
        ({"max_memory": "lots"}, "--max-memory: expected a positive number"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(CnnsearchError, match=message) as caught:
        search(space_file(tmp_path), trials=1, runs=tmp_path / "runs", workers=0, **changes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_share_of_train_is_what_candidates_learn_from(tmp_path: Path) -> None:
    result = search(
        space_file(tmp_path), trials=1, strategy="random", workers=0, runs=tmp_path / "runs",
        train_share=0.25, changes=["batch_size=32"],
    )  # fmt: skip
    assert result.best is not None
    assert result.best.metrics["steps"] == 269 // 32
    assert result.best.recipe["batch_size"] == 32


def test_the_loss_weighs_each_example_by_its_class() -> None:
    labels, logits = np.array([0, 1, 1]), np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]], "float32")
    plain, weighted = (
        float(np.asarray(TrainingLoss([1.0], 0.0, classes).compute(Targets(labels), logits)[0]))
        for classes in ((), (2.0, 0.5))
    )
    each = np.log1p(np.exp([-2.0, 1.0, -3.0]))
    assert plain == pytest.approx(each.mean())
    assert weighted == pytest.approx((each * [2.0, 0.5, 0.5]).mean())


def test_mlflow_shows_and_sorts_by_the_objective() -> None:
    tags = pages.make_experiment_tags("r", "parent", objective=find_objective("macro_f1"))
    view = json.loads(tags["mlflow.sharedViewState.search-r"])
    assert view["orderByKey"] == "metrics.`best_val_macro_f1`"
    assert view["selectedColumns"][1:3] == [view["orderByKey"], "metrics.`best_val_accuracy`"]
    manifest = {"space": "s", "settings": {"objective": "macro_f1"}}
    assert "best **macro F1**" in pages.write_note("r", manifest, [], {})
    assert "best **" not in pages.write_note("r", {"space": "s"}, [], {})  # a run of before
    history = [{"val_accuracy": 0.5, "val_macro_f1": 0.4}, {"val_accuracy": 0.6}]
    found = entries.get_outcome({"score": 0.4}, history)
    assert (found["best_val_accuracy"], found["best_val_macro_f1"]) == (0.6, 0.4)
