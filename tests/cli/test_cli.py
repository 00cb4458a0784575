"""The command line as people use it: what it prints, what it says of mistakes, its exit codes."""

import importlib
import io
import json
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from cnnsearch import cli
from cnnsearch.cli.commands import LazyCommands
from cnnsearch.cli.common import app
from cnnsearch.engine.display import Plain, write_closing
from cnnsearch.engine.display.callback import Overview, Summary
from cnnsearch.oracles.protocol import Draws
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import RECOMMENDED
from cnnsearch.space.files import list_spaces

Capture = pytest.CaptureFixture[str]


def run(*arguments: str) -> int:
    """Runs the program in this process; returns its exit code."""
    before, sys.argv = sys.argv, ["cnnsearch", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


def refused(capture: Capture, *arguments: str) -> str:
    """Runs what has to be refused; returns the one line that says why."""
    assert run(*arguments) == 2
    output = capture.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1 and "Traceback" not in output.err
    return output.err.strip().removeprefix("cnnsearch: ")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_help_names_every_command_in_full(capsys: Capture) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if line.endswith(":")] == [
        "Start here:", "Understand:", "Networks:", "Manage:", "Options:",
    ]  # fmt: skip
    listed = text.split("Start here:")[1].split("Options:")[0].splitlines()
    names = [line[2:].split("  ")[0] for line in listed if line.startswith("  ")]
    assert names == list(LazyCommands(app))
    assert "..." not in text.split("Start here:")[1]


@pytest.mark.parametrize("name", list_spaces())
def test_check_tells_size_and_cost(name: str, capsys: Capture) -> None:
    assert run("check", name, "--max-macs", "5G") == 0
    text = capsys.readouterr().out
    assert "Sound: every option reads" in text
    assert "are within the budget." in text
    assert run("check", name, "--json", "--samples", "20") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["samples"] == 20
    assert report["macs"]["smallest"] <= report["macs"]["median"] <= report["macs"]["largest"]


def test_check_of_a_space_that_no_budget_fits_is_not_sound(capsys: Capture) -> None:
    assert run("check", "tiny", "--max-params", "1K") == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "Sound" not in text
    assert "None of 100 random candidates is within the budget of 1.00K parameters" in text
    assert "(the fewest found: 1.72K)" in text
    assert run("check", "lenet-5", "--max-macs", "1K", "--max-params", "1M") == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "The candidate is not within the budget of 1.00M parameters" in text
    assert run("check", "tiny", "--max-params", "1K", "--json") == 1
    assert json.loads(capsys.readouterr().out)["within_budget"] == 0


def test_check_of_a_file_without_choices_prints_the_exact_costs(capsys: Capture) -> None:
    assert run("check", "squeezenet-1.1", "--max-macs", "1G") == 0
    text = capsys.readouterr().out
    assert "the network can be wired. It has no choices." in text
    assert "params               1,235,496  " in text and "median" not in text
    assert text.endswith("It is within the budget.\n")


def test_check_gives_an_upper_bound_of_the_candidates(capsys: Capture) -> None:
    assert run("check", "tiny") == 0
    assert "at most 224 different candidates" in capsys.readouterr().out


def test_spaces_lists_what_ships(capsys: Capture) -> None:
    assert run("spaces") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in list_spaces())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "residul"], "there is no space named 'residul', did you mean 'residual'"),
        (["check", "no/such.yaml"], "no/such.yaml: there is no such space file"),
        (
            ["search", "tiny", "--max-macs", "lots"],
            "--max-macs: expected a positive number such as",
        ),
        (["search", "tiny", "--max-params", "-3"], "--max-params: expected a positive number"),
        (["search", "tiny", "--max-time", "soon"], "--max-time: expected a time such as 2h"),
        (
            ["search", "tiny", "--max-time", "10"],
            "--max-time: expected a time with a unit, got '10': 10s or 10m or 10h?",
        ),
        (["search", "tiny", "--set", "lr=0.1"], "recipe.lr: unknown key, did you mean 'learning_r"),
        (["search", "tiny", "--trials", "0"], "--trials: expected at least 1, got 0"),
        (["search", "tiny", "--epochs", "-1"], "--epochs: expected at least 1, got -1"),
        (["search", "tiny", "--workers", "-1"], "--workers: expected 0 or more, got -1"),
        (["search", "tiny", "--seed", "-1"], "--seed: expected a number from 0"),
        (["search", "tiny", "--strategy", "evolutoin"], "did you mean 'evolution'"),
        (["search", "tiny", "--data", "digit"], "unknown data set 'digit', did you mean 'digits'"),
        (["search", "tiny", "--data", "./photos"], "data folder './photos' does not exist"),
        (["search", "tiny", "--name", "../out"], "../out"),
        (["search", "tiny", "--name", "a b"], "'a b'"),
        (["search", "tiny", "--name", ""], "run name '': must be letters"),
        (
            ["search", "tiny", "--max-macs", "10", "--workers", "0"],
            "no candidate meets the budget: of ",
        ),
        (["search", "tiny", "--trials", "x"], "Invalid value for '--trials'"),
        (["search", "tiny", "--trals", "3"], "No such option: --trals"),
        (["search"], "SPACE or --data: name a space, or the images to choose one for"),
        (["sarch"], "No such command 'sarch'. Did you mean 'search'?"),
        (["results"], "there is no run in runs yet"),
        (["results", "nothing"], "no run 'nothing' in runs"),
        (["export"], "there is no run in runs yet"),
        (["resume", "nothing"], "no run 'nothing' in runs"),
        (["ui"], "there is no run in runs yet"),
        (["sync", "nothing"], "no run 'nothing' in runs"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: Capture, tmp_path: Path
) -> None:
    assert message in refused(capsys, *arguments)
    left = [p for p in tmp_path.rglob("*") if ".cache" not in p.parts and p.name != "runs"]
    assert left == []


def test_a_space_file_with_a_mistake_is_named(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("input: [8, 8, 1]\nclasses: 2\nstages: [{blok: basic}]\n")
    message = refused(capsys, "check", "mine.yaml")
    assert message.startswith("mine.yaml: stages.0.") and "blok" in message
    (tmp_path / "mine.yaml").write_text("input: [8, 8, 1]\nclasses: [2\n")
    assert refused(capsys, "search", "mine.yaml").startswith("mine.yaml, line ")


def test_a_folder_that_cannot_be_written_is_named(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in refused(capsys, "search", "tiny", "--runs", "file")


def finished_run(root: Path, scores: list[float | None]) -> None:
    """Makes a run whose trials ended with these scores; None: not a number."""
    with_space = "input: [8, 8, 1]\nclasses: 10\n"
    run = RunDirectory.create(root, "r", {"settings": {"source": "s"}}, with_space)
    run.db.append("run_started", {"resumed": False, "environment": {}})
    for number, score in enumerate(scores, start=1):
        started = {
            "number": number, "values": {"stages.0.depth": number}, "architecture": {},
            "recipe": {}, "fingerprint": f"{number}", "family": "residual",
            "params": 1000 * number, "params_total": 1000 * number, "macs": 10**6 * number,
            "epochs": 3,
        }  # fmt: skip
        status = "failed" if score is None else "completed"
        reason = "nan: loss is nan" if score is None else None
        ended = {"status": status, "score": score, "reason": reason, "metrics": {}, "seconds": 2.0}
        run.db.append("trial_started", started, f"{number:04}")
        run.db.append("trial_ended", ended, f"{number:04}")
    run.db.append("run_ended", {"reason": "trials"})
    run.close()


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


def test_ctrl_c_is_reported_on_stderr(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cnnsearch.runs.directory.list_runs", interrupt)
    assert run("runs") == 130
    assert capsys.readouterr().err == "cnnsearch: interrupted\n"


@pytest.mark.parametrize("way", [KeyboardInterrupt, EOFError])
def test_a_question_that_is_interrupted_is_one_line(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: type[BaseException]
) -> None:
    finished_run(tmp_path / "runs", [0.5])

    def interrupt(*arguments: object) -> str:
        raise way

    monkeypatch.setattr("sys.stdin.read", interrupt)
    monkeypatch.setattr("sys.stdin.readline", interrupt)
    assert run("delete", "r") == 130
    assert capsys.readouterr().err.splitlines()[-1] == "cnnsearch: interrupted"
    assert run("runs") == 0 and (tmp_path / "runs" / "r").is_dir()


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


def test_the_schema_allows_choices_and_variables_anywhere(capsys: Capture) -> None:
    assert run("schema") == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"input", "stem", "stages", "head", "variables", "recipe"} <= set(schema["properties"])
    width = schema["$defs"]["Stage"]["properties"]["width"]["anyOf"]
    assert {"$ref": "#/$defs/Varying"} in width


def program(*arguments: str, cwd: Path, **more: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cnnsearch", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280, **more)


@pytest.mark.programs
def test_a_search_from_the_command_line_to_the_export(tmp_path: Path) -> None:
    asked = ("search", "tiny", "--trials", "2", "--epochs", "2", "--name", "first")
    done = program(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "2 candidates trained" in done.stdout
    again = program(*asked, cwd=tmp_path)
    assert again.returncode == 0 and "Resumes after 2 finished candidates" in again.stdout

    results = json.loads(program("results", "--json", cwd=tmp_path).stdout)
    assert len(results["leaderboard"]) == 2

    other = program(*asked[:-1], "first", "--seed", "3", cwd=tmp_path)
    assert other.returncode == 2 and "begun with another value of --seed: 0, now 3" in other.stderr

    export = program("export", "best", "--run", "first", "--out", "out/net", "--json", cwd=tmp_path)
    assert export.returncode == 0, export.stderr
    exported = json.loads(export.stdout)
    assert exported["largest_difference"] < 1e-4 and exported["test_images"] == 359
    assert (tmp_path / "out/net/1/saved_model.pb").is_file()
    assert (tmp_path / "out/net/class_names.txt").read_text().split() == list("0123456789")
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/net"]
    once_more = program("export", "--out", "out/net", cwd=tmp_path)
    assert once_more.returncode == 2 and "--force replaces it" in once_more.stderr

    program("sync", "first", cwd=tmp_path)
    synced = program("sync", "first", cwd=tmp_path)
    assert synced.returncode == 0 and "0 events" in synced.stdout, synced.stdout + synced.stderr


LAGGING = """
import atexit, sys, time
from types import SimpleNamespace
from cnnsearch import cli
from cnnsearch.runs.mlflow import Tracker

def search(standalone_mode):
    tracker = Tracker(SimpleNamespace())
    tracker._thread._target = lambda: time.sleep(60)
    tracker.start()
    print("Done.")
    return 3

atexit.register(print, "Python finalizes itself under the thread")
cli.app = search
cli.run_program()
"""


def test_a_search_that_mlflow_lags_behind_keeps_its_exit_code() -> None:
    done = subprocess.run([sys.executable, "-c", LAGGING], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "Done.\n", "")


IMPORTING = """
import os, signal, sys
from cnnsearch.__main__ import run

class Finder:
    def find_spec(self, name, *rest):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
sys.argv = ["cnnsearch", "--version"]
run()
"""


def test_ctrl_c_while_the_program_is_imported_prints_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_sigterm_outside_of_a_search_ends_a_command_like_ctrl_c() -> None:
    program = (
        "import os, signal; import cnnsearch.cli\n"
        "from cnnsearch.__main__ import run\n"
        "def wait():\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n"
        "    except KeyboardInterrupt: print('interrupted')\n"
        "cnnsearch.cli.run_program = wait\n"
        "run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n")
