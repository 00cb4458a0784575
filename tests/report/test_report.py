"""The report: one file, true to the journal, safe against what it quotes."""

import re
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnsearch.architecture.costs import LATENCY, MACS, PARAMS, RAM
from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.report.canvas import CANVASES
from cnnsearch.report.facts import collect_facts, measure_activity
from cnnsearch.report.figures import group_families
from cnnsearch.report.importance import compute_importances
from cnnsearch.report.report import write_report
from cnnsearch.runs.cost_axis import choose_ticks
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.ranking import find_pareto_front, rank_trials
from tests.report.conftest import HOSTILE, Make


class Page(HTMLParser):
    """Headings, tags and what would be loaded from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self._in_heading = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._in_heading = tag in ("h1", "h2")
        names = ("src", "href", "xlink:href", "action")
        found = [value or "" for name, value in attrs if name in names]
        self.loaded += [value for value in found if not value.startswith(("#", "data:"))]

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.headings.append(data)
            self._in_heading = False


def test_a_report_has_its_sections_and_loads_nothing(make: Make) -> None:
    run = make()
    (path,) = write_report(run)
    text = path.read_text("utf-8")
    page = Page(text)
    assert path == run.path / "report.html"
    assert page.headings[:4] == ["Search r", "Task", "Result", "Accuracy against cost"]
    assert {"Hyperparameter importance", "Failures", "Leaderboard", "Reproduction"} <= set(
        page.headings
    )
    assert page.loaded == [] and "http://" not in re.sub(r'xmlns[^ ]*="[^"]*"', "", text)
    assert page.tags.count("figure") == 7
    assert page.tags.count("script") == 1
    assert "innerHTML" not in text and "→" in text
    best = run.db.get_trials()[0]
    best = max((t for t in run.db.get_trials() if t.score), key=lambda t: t.score or 0)
    assert f"Trial {best.id}" in text and f"{best.params:,} parameters" in text
    assert list(run.path.glob(".*tmp")) == []


def test_quoted_names_are_escaped(make: Make) -> None:
    html, markdown = write_report(make(), form="both")
    for path in (html, markdown):
        text = path.read_text("utf-8")
        assert HOSTILE not in text and "alert(" in text
    assert "\\<script\\>" in markdown.read_text("utf-8")


def test_every_point_has_the_tooltip_of_its_candidate(make: Make) -> None:
    run = make()
    text = write_report(run)[0].read_text("utf-8")
    for trial in run.db.get_trials():
        if trial.status == "completed":
            assert f"<title>trial {trial.id}, {trial.family}\n" in text


def test_of_many_candidates_the_best_have_tooltips(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("canvas", "figures", "coordinates", "sections"):
        monkeypatch.setattr(f"cnnsearch.report.{module}.MOST_TIPS", 5)
    run = make()
    text = write_report(run)[0].read_text("utf-8")
    best = [trial.id for trial in rank_trials(run.db.get_trials())[:5]]
    front = [trial.id for trial in find_pareto_front(run.db.get_trials())]
    for label, labelled in (
        ("27 candidates: val accuracy against", {*best, *front}),
        ("The best val accuracy over time", set(best)),
        ("Candidates over the hyperparameters that mattered", set(best)),
    ):
        _, *figures = text.split(f'aria-label="{label}')
        drawn = figures[0].split("</svg>")[0]
        titles = re.findall(r"<title>(.*?)</title>", drawn, flags=re.S)
        assert {re.search(r"trial (\w+),", each)[1] for each in titles} == labelled  # type: ignore[index]
        within_axes = re.findall(r"<g clip-path=[^>]*>(.*?)</g>", drawn, flags=re.S)
        shapes = sum(each.count("<use") for each in within_axes)
        assert shapes == 27 or "hyperparameters" in label, "the others are drawn without"
    assert "The best 5 have tooltips." in text


def test_every_cost_that_matters_has_its_figure(make: Make) -> None:
    text = write_report(make(max_ram=10**6, max_latency=50.0))[0].read_text("utf-8")
    for kind in (MACS, PARAMS, LATENCY, RAM):
        label = f'aria-label="27 candidates: val accuracy against {kind.title}"'
        assert text.count(label) == len(CANVASES)
        assert f">{kind.heading}</label>" in text
    assert "size of the int8 file" not in text
    assert re.search(r"MACs, [\d.]+ ms latency, [\d.]+K bytes of RAM\n", text), "in the tooltips"


@pytest.mark.parametrize("trials", [0, 1, 2])
def test_a_search_that_has_just_started_is_reported(make: Make, trials: int) -> None:
    text = write_report(make(trials=trials))[0].read_text("utf-8")
    words = "No candidate is finished yet" if not trials else "so it is optimistic"
    assert words in text and "Not computed: fewer than 20" in text


@pytest.mark.slow
def test_a_thousand_candidates_take_seconds(make: Make) -> None:
    run = make(trials=1000)
    since = time.process_time()
    (path,) = write_report(run)
    assert time.process_time() - since < 20
    assert path.stat().st_size < 6_000_000
    assert "875 more are in the run" in path.read_text("utf-8")


def test_test_accuracies_and_retries_are_reported(make: Make) -> None:
    run = make()
    run.db.append("trial_retried", {"attempt": 2, "accumulate": 1, "deaths": 1}, "0001")
    exported = {"test_accuracy": 0.9, "interval": [0.8, 0.95], "test_images": 20}
    run.db.append("exported", exported, "0001")
    (path,) = write_report(run, form="md")
    text = path.read_text("utf-8")
    assert "90.00%" in text and "80.00% to 95.00%" in text
    assert "1 attempt resumed a trial from its last epoch" in text


def test_files_are_not_overwritten_without_force(make: Make, tmp_path: Path) -> None:
    run, out = make(trials=2), tmp_path / "mine.md"
    assert write_report(run, out, "md") == [out]
    with pytest.raises(CnnsearchError, match=r"--out .*mine\.md: already exists"):
        write_report(run, out, "md")
    assert write_report(run, tmp_path / "mine", "md", force=True) == [out]
    assert write_report(run, form="md") == write_report(run, form="md")
    with pytest.raises(CnnsearchError, match="--format: expected html, md, both, got 'htm'"):
        write_report(run, form="htm")
    with pytest.raises(RunError, match="cannot be written"):
        write_report(run, out / "below.md", "md")


def test_only_a_search_is_reported(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, "f", {"kind": "final"}, "")
    with pytest.raises(RunError, match="run 'f' is of cnnsearch final, a report is of a search"):
        collect_facts(run)


def test_pauses_between_sessions_do_not_count() -> None:
    from cnnsearch.runs.records import Event

    def event(time: float, kind: str, trial: str | None = None) -> Event:
        return Event(0, time, kind, trial, {})

    seconds, moments, sessions = measure_activity([
        event(0, "run_started"), event(10, "trial_ended", "a"), event(10, "run_ended"),
        event(900, "exported", "a"), event(950, "evaluated", "a"),
        event(5000, "run_started"), event(5007, "trial_ended", "b"),
    ])  # fmt: skip
    assert (seconds, sessions, moments) == (17, 2, {"a": 10, "b": 17})


def test_the_hyperparameter_that_decides_the_score_is_important(make: Make) -> None:
    facts = collect_facts(make(trials=120))
    found = compute_importances(facts.space.parameters, facts.trials)
    assert found is not None and found.r2 > 0.3
    first: Any = found.each[0]
    assert first.mean > 2 * found.each[-1].mean and first.mean > 0.1
    assert compute_importances(facts.space.parameters, facts.trials[:10]) is None


def test_the_command_does_the_same_search(make: Make) -> None:
    run = make(max_macs=2_000_000, changes=["mixup=0.2"], data="photos of cats")
    command = collect_facts(run).command
    assert command == (
        "cnnsearch search tiny --data 'photos of cats' --strategy random --trials 30 "
        "--max-macs 2000000 --set mixup=0.2"
    )


def test_a_fidelity_study_of_the_space_is_reported(make: Make, tmp_path: Path) -> None:
    run = make()
    assert "cnnsearch fidelity tiny does." in write_report(run, form="md")[0].read_text("utf-8")
    study = RunDirectory.create(tmp_path, "study", {"kind": "fidelity"}, run.space_text)
    found = {"spearman": 0.947, "low": 0.89, "high": 0.98, "way": "3 epochs"}
    study.db.append("fidelity", found)
    text = write_report(run, form="md")[0].read_text("utf-8")
    assert "Spearman correlation of 0.95 (95 % interval 0.89 to 0.98)" in text


def test_validation_accuracy_is_not_called_test_accuracy(make: Make) -> None:
    run = make(trials=3)
    best = max((t for t in run.db.get_trials()), key=lambda t: t.score or 0)
    exported = {"test_accuracy": 0.9, "interval": [0.8, 0.95], "test_images": 20}
    run.db.append("exported", {**exported, "split": "validation"}, best.id)
    text = write_report(run, form="md")[0].read_text("utf-8")
    assert "test accuracy" not in text
    assert f"| trial {best.id}, as exported | validation | 90.00% |" in text


def test_the_report_answers_with_the_first_of_the_leaderboard(make: Make) -> None:
    run = make(trials=3, strategy="hyperband")
    best, *_ = sorted(run.db.get_trials(), key=lambda t: -(t.score or 0))
    start = {
        "number": 4, "values": best.values, "architecture": best.architecture, "recipe": {},
        "fingerprint": best.fingerprint, "params": best.params, "params_total": 9,
        "family": best.family, "macs": best.macs, "epochs": 9, "initial_epoch": 3,
        "continues": best.id,
    }  # fmt: skip
    run.db.append("trial_started", start, "0004")
    ended = {"status": "completed", "score": 0.01, "reason": None, "metrics": {}, "seconds": 1.0}
    run.db.append("trial_ended", ended, "0004")
    facts = collect_facts(run)
    assert facts.best is facts.ranked[0] and facts.best.id != best.id
    text = write_report(run, form="md")[0].read_text("utf-8")
    assert f"Trial {facts.best.id}, family" in text and best.id not in text.split("## Failures")[0]


@pytest.mark.parametrize(
    ("families", "names"),
    [
        (["a", "b+c", "a+b+c+d"], ["a", "a + 3 more", "b+c"]),
        ([f"a+b{n}" for n in range(9)] + ["c"], ["a and more", "c"]),
        (["a", "a", *"bbccddee", "f", "g"], ["a", "b", "c", "d", "e", "2 others"]),
    ],
)
def test_the_legend_has_six_names_at_most(families: list[str], names: list[str]) -> None:
    trials: Any = [SimpleNamespace(family=family) for family in families]
    found = group_families(trials)
    assert list(dict.fromkeys(found.values())) == names
    assert set(found) == set(families)


@pytest.mark.parametrize("most", [5, 7])
@pytest.mark.parametrize(
    ("low", "high"),
    [(9e5, 3.1e8), (9e5, 1.1e6), (1e6, 1.001e6), (1.0, 9.0), (3e5, 4e6), (1e3, 1e12)],
)
def test_ticks_are_few_and_inside(low: float, high: float, most: int) -> None:
    ticks = choose_ticks(low, high, most)
    assert 2 <= len(ticks) <= most
    assert all(low <= tick <= high for tick in ticks) and ticks == sorted(set(ticks))
