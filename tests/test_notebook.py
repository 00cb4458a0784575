"""The notebook of the documentation, and what objects show in notebooks."""

import contextlib
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnsearch.engine.search_session import COLUMNS, SearchResult
from cnnsearch.runs.directory import RunDirectory
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
    first = ["rank", "trial", "family", "val accuracy", "params", "MACs"]
    assert shown.rows[0][: len(first)] == first
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


class Shown:
    """IPython as a notebook has it: keeps what is displayed."""

    def __init__(self, kernel: str) -> None:
        self.pages: list[str] = []
        self.shell = type(kernel, (), {})()
        self.display = SimpleNamespace(HTML=str, display=self._display)

    def get_ipython(self) -> Any:
        return self.shell

    def _display(self, page: str, display_id: bool) -> Any:
        assert display_id
        return SimpleNamespace(update=self.pages.append)


def test_a_search_in_a_notebook_shows_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnsearch.engine.display.notebook import NotebookDisplay, choose_display
    from tests.engine.test_display import overview, trial

    shown = Shown("ZMQInteractiveShell")
    monkeypatch.setitem(sys.modules, "IPython", shown)
    found = choose_display()
    assert isinstance(found, NotebookDisplay)
    found.on_search_begin(overview())
    for number in range(1, 5):
        found.on_trial_begin(trial(number, status="running", score=None))
        found.on_trial_end(trial(number, network="<b>residual</b>"))
    assert len(shown.pages) == 1, "not more than one drawing a second"
    found.close()
    assert len(shown.pages) == 2
    page = Rows(shown.pages[-1])
    assert "b" not in page.tags
    text = shown.pages[-1]
    assert "&lt;b&gt;residual" in text and "40.00%" in text and "4 of 2 done" in text


@pytest.mark.parametrize("kernel", ["TerminalInteractiveShell", "NoneType"])
def test_a_search_elsewhere_shows_nothing(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnsearch.engine.display.lines import Quiet
    from cnnsearch.engine.display.notebook import choose_display

    monkeypatch.setitem(sys.modules, "IPython", Shown(kernel))
    assert type(choose_display()) is Quiet
    monkeypatch.delitem(sys.modules, "IPython")
    assert type(choose_display()) is Quiet


def test_a_report_shows_its_page(tmp_path: Path) -> None:
    from cnnsearch.report.report import write_report

    found = write_report(write_run(tmp_path, trials=4), tmp_path / "r.html")
    assert found == [tmp_path / "r.html"]
    frame = HTMLParser()
    pages: list[str] = []
    frame.handle_starttag = lambda tag, attrs: pages.append(dict(attrs)["srcdoc"] or "")  # type: ignore[method-assign]
    frame.feed(found._repr_html_())
    assert pages == [(tmp_path / "r.html").read_text("utf-8")]
    markdown = write_report(RunDirectory.open(*find_run(tmp_path)), tmp_path / "m", "md")
    assert "m.md" in markdown._repr_html_()


def find_run(folder: Path) -> tuple[Path, str]:
    manifest = next(folder.rglob("run.json"))
    return manifest.parents[1], manifest.parent.name
