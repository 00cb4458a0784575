"""The leaderboard in the terminal."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cnnsearch.architecture.costs import choose_columns
from cnnsearch.report.tables import build_results_table
from tests.report.conftest import write_run

LONG = "a family with a name as long as a line of text in a book that nobody reads"


@pytest.mark.parametrize("width", [80, 98, 120])
def test_numbers_and_headings_are_whole_in_every_terminal(tmp_path: Path, width: int) -> None:
    trials = write_run(tmp_path, trials=12, names={3: LONG}).db.get_trials()
    table = build_results_table(trials, "Run r", columns=choose_columns(None), width=width)
    out = StringIO()
    Console(file=out, width=width).print(table)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    (head,) = [line for line in lines if "rank" in line]
    for name in ("trial", "family", "val accuracy", "params", "MACs", "epochs", "time", "Pareto"):
        assert name in head
    assert ("FLOPs" in head) == (width >= 100)
    rows = [line for line in lines if "%" in line]
    assert len(rows) == sum(trial.score is not None for trial in trials)
    assert all("…" not in row.split("%", 1)[1] for row in rows)
