"""The notebook of the documentation, and what objects show in notebooks."""

import contextlib
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnsearch.engine.search_session import COLUMNS, SearchResult
from cnnsearch.space.published import load_published
from cnnsearch.space.search_space import SearchSpace
from tests.notebooks import read_cells, run_cell
from tests.report.conftest import write_run

NOTEBOOK = Path(__file__).parents[1] / "docs" / "first-search.ipynb"


@pytest.mark.slow
def test_the_notebook_runs_and_shows_the_same_kinds_of_output(tmp_path: Path) -> None:
    scope: dict[str, Any] = {}
    with contextlib.chdir(tmp_path):
        for cell in read_cells(NOTEBOOK):
            outputs = run_cell("".join(cell["source"]), scope)
            kinds = [sorted(each.get("data", [])) for each in outputs]
            assert kinds == [sorted(each.get("data", [])) for each in cell["outputs"]]
    assert scope["result"].best.score > 0.5


class Rows(HTMLParser):
    """The texts of a table's cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1].append(data)


def show(thing: Any) -> Rows:
    return Rows(thing._repr_html_())


@pytest.fixture
def result(tmp_path: Path) -> SearchResult:
    run = write_run(tmp_path, trials=30, names={1: "<script>a</script>"})
    return SearchResult(run, "trials", None, tuple(run.db.get_trials()))


def test_a_result_shows_its_leaderboard(result: SearchResult) -> None:
    shown = show(result)
    best = max(result.trials, key=lambda trial: trial.score or 0.0)
    assert shown.rows[0] == ["rank", "trial", "family", "val accuracy", "parameters", "MACs"]
    assert shown.rows[1][1] == best.id and shown.rows[1][3] == f"{best.score:.2%}"
    assert len(shown.rows) == 21 and "script" not in shown.tags


def test_a_result_is_a_table_of_pandas(result: SearchResult) -> None:
    frame = result.to_pandas()
    assert list(frame.index) == [trial.id for trial in result.trials]
    assert set(COLUMNS[1:]) | set(result.trials[0].values) <= set(frame.columns)
    for trial in result.trials[:5]:
        assert frame.loc[trial.id, "params"] == trial.params
    assert frame["score"].max() == max(trial.score or 0.0 for trial in result.trials)
    empty: Any = SimpleNamespace(trials=())
    assert SearchResult.to_pandas(empty).empty


def test_a_space_shows_its_hyperparameters() -> None:
    space = SearchSpace.load("tiny")
    shown = show(space)
    assert [row[0] for row in shown.rows[1:]] == [each.name for each in space.parameters]
    assert ["head.dropout", "0.0, 0.1"] in shown.rows


def test_a_network_shows_its_drawing() -> None:
    shown = load_published("lenet-5")._repr_html_()
    assert shown.startswith("<svg style=") and shown.rstrip().endswith("</svg>")
    assert shown != load_published("alexnet")._repr_html_()
