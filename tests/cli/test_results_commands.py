"""What the commands on runs print: results, runs, what to do next."""

import importlib
import io
import json
import shutil
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from cnnsearch.engine.display import Plain, write_closing
from cnnsearch.engine.display.callback import Overview, Summary
from cnnsearch.oracles.protocol import Draws
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import RECOMMENDED
from tests.cli.program import Capture, finished_run, refused, run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_results_shows_leaderboard_front_and_failures(capsys: Capture, tmp_path: Path) -> None:
    finished_run(tmp_path / "runs", [0.5, 0.9, None, 0.7])
    assert run("results") == 0
    text = capsys.readouterr().out
    order = [text.index(f"{score:.2%}") for score in (0.9, 0.7, 0.5)]
    assert order == sorted(order)
    assert "trial 0003 failed: nan: loss is nan" in text
    assert run("results", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert [t["id"] for t in data["leaderboard"]] == ["0002", "0004", "0001"]
    assert data["pareto"] == ["0001", "0002"]
    assert data["leaderboard"][0]["flops"] == 2 * data["leaderboard"][0]["macs"]


def test_results_name_the_candidate_that_the_strategy_recommends(
    capsys: Capture, tmp_path: Path
) -> None:
    finished_run(tmp_path / "runs", [0.5, 0.9, None, 0.89])
    with closing(RunDirectory.open(tmp_path / "runs", "r")) as opened:
        opened.db.append(RECOMMENDED, {"best": "0002"}, "0004")
    assert run("results") == 0
    text = capsys.readouterr().out
    assert text.index("90.00%") < text.index("Recommended: trial 0004 (residual), 89.00%")
    assert "cnnsearch train 0004 --run r" in " ".join(text.split())
    assert run("results", "--json") == 0
    assert json.loads(capsys.readouterr().out)["recommended"] == "0004"


def test_a_recommendation_does_not_outlive_further_trials(capsys: Capture, tmp_path: Path) -> None:
    finished_run(tmp_path / "runs", [0.5, 0.9])
    with closing(RunDirectory.open(tmp_path / "runs", "r")) as opened:
        opened.db.append(RECOMMENDED, {"best": "0002"}, "0001")
        ended = {"status": "completed", "score": 0.6, "metrics": {}, "seconds": 2.0}
        opened.db.append("trial_ended", ended, "0001")
    assert run("results", "--json") == 0
    assert json.loads(capsys.readouterr().out)["recommended"] is None


def test_results_of_a_running_search_say_so(capsys: Capture, tmp_path: Path) -> None:
    finished_run(tmp_path / "runs", [0.5])
    with RunDirectory.open(tmp_path / "runs", "r").lock():
        assert run("results") == 0
        assert "Run r, still running: 1 finished candidates" in capsys.readouterr().out
        assert run("results", "--json") == 0
        assert json.loads(capsys.readouterr().out)["state"] == "running"
    assert run("results") == 0
    assert "running" not in capsys.readouterr().out


def test_a_trial_is_named_where_a_space_is(capsys: Capture, tmp_path: Path) -> None:
    before = Path(__file__).parents[1] / "compatibility" / "version_0_1" / "before"
    shutil.copytree(before, tmp_path / "runs" / "before")
    assert run("check", "before:1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["candidates"] == 1
    assert "no trial '9'" in refused(capsys, "check", "before:9")
    assert "no trial '9'" in refused(capsys, "search", "before:9")
    assert "no trial '9'" in refused(capsys, "fidelity", "before:9")


def test_a_search_that_trained_nothing_exits_with_1(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = SimpleNamespace(reason="time", best=None, run=SimpleNamespace(path=Path("none")))
    monkeypatch.setattr(
        importlib.import_module("cnnsearch.engine.search"), "search", lambda *given, **more: ended
    )
    assert run("search", "tiny", "--max-time", "1s") == 1
    assert capsys.readouterr().err == "cnnsearch: no candidate was trained\n"
    ended.best = "0001"
    assert run("search", "tiny") == 0
    assert "the report was not written: no run 'none'" in capsys.readouterr().err


def test_a_resumed_search_remembers_the_best_so_far(tmp_path: Path) -> None:
    finished_run(tmp_path / "runs", [0.5])
    trial = RunDirectory.open(tmp_path / "runs", "r").db.get_trials()[0]
    text = io.StringIO()
    lines = Plain(Console(file=text, width=200))
    lines.on_search_begin(
        Overview("r", "tiny", "digits", 9, 3, "random", 2, 1, "", 1, 0.75, None, "CPU", 1)
    )
    lines.on_trial_end(trial)
    assert "val 50.00%  best 75.00%" in text.getvalue()


def test_what_to_do_next_names_the_folder_of_the_runs(tmp_path: Path) -> None:
    finished_run(tmp_path / "my runs", [0.5])
    best = RunDirectory.open(tmp_path / "my runs", "r").db.get_trials()[0]
    elsewhere = write_closing(Summary("r", "interrupted", best, 1, 0, Draws(), 2.0, "my runs/r"))
    assert "cnnsearch resume r --runs 'my runs'\n" in elsewhere
    assert "cnnsearch export best --run r --runs 'my runs' --out" in elsewhere
    here = write_closing(Summary("r", "interrupted", best, 1, 0, Draws(), 2.0, "runs/r"))
    assert "cnnsearch resume r\n" in here and "--runs" not in here


def test_runs_lists_states(capsys: Capture, tmp_path: Path) -> None:
    finished_run(tmp_path / "runs", [0.5])
    assert run("runs") == 0
    assert "finished" in capsys.readouterr().out


def test_an_export_of_nothing_finished_is_refused(capsys: Capture, tmp_path: Path) -> None:
    finished_run(tmp_path / "runs", [None])
    assert refused(capsys, "export") == "run 'r' has no finished trial to export"
    finished_run(tmp_path / "more", [0.5, None])
    message = refused(capsys, "export", "2", "--runs", "more")
    assert message == "run 'r' has no finished trial '2', did you mean '0001'?"
    assert not (tmp_path / "exports").exists()
