"""The figures in MLflow."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.mlflow import pictures
from cnnsearch.runs.ranking import find_pareto_front
from tests.report.conftest import write_run

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
