"""The figures in MLflow."""

import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cnnsearch.runs import mlflow
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.mlflow import pictures
from cnnsearch.runs.ranking import find_pareto_front
from tests.browser import sample_run
from tests.report.conftest import write_run
from tests.runs.mlflow.stores import child, client, mlflow_runs

PANEL = (880, 550)


def draw(folder: Path, run: RunDirectory) -> Path:
    trials = run.db.get_trials()
    front = find_pareto_front(trials)
    curves = {trial.id: run.db.get_history(trial.id) for trial in front}
    return pictures.draw_search(folder, run, trials, front, curves)[0]


@pytest.mark.parametrize(
    ("settings", "columns", "rows"),
    [({}, 2, 1), ({"max_ram": 10**6, "max_flash": 10**7, "max_latency": 50.0}, 2, 3)],
)
def test_the_front_of_every_cost_that_matters_is_a_panel(
    tmp_path: Path, settings: dict[str, Any], columns: int, rows: int
) -> None:
    run = write_run(tmp_path, trials=12, **settings)
    drawn = draw(tmp_path, run)
    with Image.open(drawn) as image:
        assert image.size == (columns * PANEL[0], rows * PANEL[1])


def test_candidates_of_an_earlier_version_without_costs_are_drawn(tmp_path: Path) -> None:
    run = write_run(tmp_path, trials=1)
    drawn = draw(tmp_path, run)
    with Image.open(drawn) as image:
        assert image.size == PANEL


@pytest.mark.filterwarnings("default")  # of MLflow and what it imports
def test_a_finished_search_has_its_pictures(run: RunDirectory) -> None:
    start = sample_run.candidate(1, random.Random(0))
    network = {
        "input": [8, 8, 1],
        "classes": 10,
        "stages": [{"block": "basic", "depth": 1, "width": 8}],
    }
    run.db.append("run_started", {"resumed": False, "environment": {}})
    run.db.append("trial_started", {**start, "architecture": network}, "001")
    for step in (1, 2, 3):
        run.db.append("epoch", sample_run.epoch(step, 3, 0.9), "001")
    end = {"status": "completed", "score": 0.8, "reason": None, "metrics": {}, "seconds": 4.0}
    run.db.append("trial_ended", end, "001")
    run.db.append("run_ended", {"reason": "trials"})
    (run.path / "report.html").write_text("<html></html>")
    mlflow.sync(run)
    runs = mlflow_runs(run)
    parent = {a.path for a in client(run).list_artifacts(runs["first"].info.run_id)}
    assert parent == {"space.yaml", "run.json", "pareto.png", "curves.png", "report.html"}
    mine = {a.path for a in client(run).list_artifacts(child(run, 1).info.run_id)}
    assert mine == {"architecture.json", "recipe.json", "architecture.png"}
    assert child(run, 1).inputs.dataset_inputs[0].dataset.name == "digits"
