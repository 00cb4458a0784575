"""Objectives: every fact about one stands on its class."""

import subprocess
import sys
from io import StringIO
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from cnnsearch.engine.display.callback import Overview
from cnnsearch.engine.display.live import Live
from cnnsearch.errors import CnnsearchError
from cnnsearch.training.history import Progress
from cnnsearch.training.messages import Measurement
from cnnsearch.training.objectives import NAMES, OBJECTIVES, Objective, find_objective, objective_of


class ErrorRate(Objective):
    """A metric of which less is better."""

    name, label, direction = "error_rate", "error rate", "min"

    def compute(self, labels: Any, predictions: Any) -> float:
        return float((labels != predictions).mean())


@pytest.mark.parametrize("objective", OBJECTIVES, ids=NAMES)
def test_the_facts_of_an_objective(objective: Objective) -> None:
    assert NAMES.count(objective.name) == 1
    assert find_objective(objective.name) is objective
    assert objective.metric == f"val_{objective.name}"
    assert objective.title == f"validation {objective.label}"
    assert objective.heading == f"val {objective.label}"
    assert objective.direction in ("max", "min")
    assert type(objective).__doc__


@pytest.mark.parametrize("objective", OBJECTIVES, ids=NAMES)
def test_correct_predictions_score_highest(objective: Objective) -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    right, wrong = (objective.compute(labels, labels + shift) for shift in (0, 1))
    assert objective.score(right) > objective.score(wrong)
    assert isinstance(right, float)


def test_an_unknown_objective_suggests_the_nearest() -> None:
    with pytest.raises(CnnsearchError, match=r"expected accuracy, .*got 'macro_f2', did you mean"):
        find_objective("macro_f2")


def test_runs_recorded_before_there_were_objectives_are_ranked_by_accuracy() -> None:
    assert objective_of({}).name == objective_of(None).name == "accuracy"
    assert objective_of({"objective": "macro_f1"}).name == "macro_f1"


def test_importing_objectives_imports_no_library() -> None:
    program = (
        "import sys; import cnnsearch.training.objectives, cnnsearch.training.metrics;"
        "print([m for m in ('numpy', 'scipy', 'sklearn', 'keras') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_of_an_objective_to_minimize_the_smallest_value_is_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objectives = (*OBJECTIVES, ErrorRate())
    monkeypatch.setattr("cnnsearch.training.objectives.OBJECTIVES", objectives)
    progress = Progress(0, 0, objective="error_rate")
    for epoch, error in enumerate((0.4, 0.1, 0.3), start=1):
        progress.record_epoch(epoch, {"val_error_rate": error, "val_loss": 1.0})
    assert progress.best_epoch == 2
    scores = [
        Measurement({"val_error_rate": error}, 0, 0, 1, 0, 1, 1, 0.9, 1, 1).score("error_rate")
        for error in (0.1, 0.3)
    ]
    assert scores[0] > scores[1]


def test_the_live_table_shows_the_objective_under_its_heading() -> None:
    text = StringIO()
    live = Live(Console(file=text, width=200, force_terminal=False))
    trial: Any = SimpleNamespace(
        id="0001", number=1, values={}, family="f", label="f", params=1, macs=1, epochs=2,
        initial_epoch=0,
        status="running", started=0.0, seconds=None, score=None, reason=None,
        continues=None, predicted_seconds=None,
    )  # fmt: skip
    objective = find_objective("macro_f1")
    live.on_search_begin(
        Overview("r", "s", "d", 9, 2, "random", 1, 2, "", 0, None, None, "cpu", 1,
                 measured=objective.heading, metric=objective.metric)
    )  # fmt: skip
    live.on_epoch_end(trial, 1, {"val_accuracy": 0.5, "val_macro_f1": 0.125})
    table = live._make_table()
    live.close()
    Console(file=text, width=200).print(table)
    shown = text.getvalue()
    assert "val macro F1" in shown
    assert "12.50%" in shown
    assert "50.00%" not in shown
