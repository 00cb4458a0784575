"""The figures in MLflow."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cnnsearch.runs.mlflow import pictures
from tests.report.conftest import write_run

PANEL = (880, 550)


@pytest.mark.parametrize(
    ("settings", "columns", "rows"),
    [({}, 2, 1), ({"max_ram": 10**6, "max_flash": 10**7, "max_latency": 50.0}, 2, 3)],
)
def test_the_front_of_every_cost_that_matters_is_a_panel(
    tmp_path: Path, settings: dict[str, Any], columns: int, rows: int
) -> None:
    run = write_run(tmp_path, trials=12, **settings)
    drawn, _ = pictures.draw_search(tmp_path, run, run.db.get_trials(), [], {})
    with Image.open(drawn) as image:
        assert image.size == (columns * PANEL[0], rows * PANEL[1])


def test_candidates_of_an_earlier_version_without_costs_are_drawn(tmp_path: Path) -> None:
    run = write_run(tmp_path, trials=1)
    drawn, _ = pictures.draw_search(tmp_path, run, run.db.get_trials(), [], {})
    with Image.open(drawn) as image:
        assert image.size == PANEL
