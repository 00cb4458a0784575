"""What becomes of a final training's answers: table, sentences, files, MLflow, export."""

import csv
import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from cnnsearch.data import Dataset, load
from cnnsearch.errors import RunError
from cnnsearch.exporters.source import choose_trial
from cnnsearch.runs.directory import RunDirectory, list_runs
from cnnsearch.runs.lookup import find_candidate
from cnnsearch.studies.final.artifacts import get_result_data
from cnnsearch.studies.final.results import compute_rows, explain_results, read_test_metrics
from cnnsearch.studies.final.run import run_final
from cnnsearch.studies.final.table import list_notes, make_table

from .made import made_run

pytestmark = pytest.mark.filterwarnings("default")  # MLflow's own deprecations
SHARES = {"winner": [0.95, 0.94, 0.96], "random": [0.94, 0.95, 0.95], "published": [0.8, 0.8, 0.7]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results") / "runs"


@pytest.fixture(scope="module")
def data(runs: Path) -> Dataset:
    return load("digits", image=(8, 8), channels=None, cache=runs / ".cache")


@pytest.fixture(scope="module")
def run(runs: Path, data: Dataset) -> RunDirectory:
    return run_final(made_run(runs, data, SHARES)).run


def test_every_model_is_in_the_journal_once(run: RunDirectory) -> None:
    assert len(run.db.get_events_of("evaluated")) == 9
    again = run_final(run)
    assert len(run.db.get_events_of("evaluated")) == 9
    assert [row.accuracy.values for row in again.rows] == [
        r.accuracy.values for r in compute_rows(run)
    ]
    assert len(run.db.get_events_of("run_started")) == 1  # nothing was begun again


def test_the_search_is_said_to_beat_one_and_not_the_other(run: RunDirectory) -> None:
    found = explain_results(run, compute_rows(run))
    assert "did not clearly beat the best of equally many random" in found[0]
    assert "The search beat a published network of similar MACs (resnet-20-cifar) by 18" in found[1]


def test_the_table_fits_80_columns(run: RunDirectory) -> None:
    terminal = Console(width=80, record=True)
    terminal.print(make_table(run, compute_rows(run)))
    text = terminal.export_text()
    assert "94.99%" in text
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_notes_say_what_intervals_are_and_where_latency_was_measured(run: RunDirectory) -> None:
    text = "\n".join(list_notes(run, compute_rows(run)))
    assert "Student's t" in text and "Wilson" in text
    assert "median of 50 calls" in text and "worst-classified class" in text


def test_files_say_what_the_answers_say(run: RunDirectory) -> None:
    results = json.loads((run.path / "results.json").read_text())["results"]
    with (run.path / "confusion-1.csv").open() as file:
        counts = np.array([row[1:] for row in list(csv.reader(file))[1:]], int)
    share = np.trace(counts) / counts.sum()
    assert share == pytest.approx(results[0]["accuracy"]["mean"], abs=1e-9)
    assert [each["seed"] for each in results[0]["each"]] == [0, 1, 2]
    with (run.path / "per_class-1.csv").open() as file:
        table = list(csv.DictReader(file))
    assert float(table[3]["recall"]) == pytest.approx(counts[3, 3] / counts[3].sum())
    for name in ("confusion-1.png", "worst-1.png"):
        assert (run.path / name).read_bytes().startswith(b"\x89PNG")
        assert (run.path / name).stat().st_size > 10_000


def test_json_is_whole(run: RunDirectory) -> None:
    data = json.loads(json.dumps(get_result_data(run)))
    assert [row["beaten"] for row in data["results"]] == [None, "unclear", "yes"]
    assert data["results"][2]["difference"]["low"] > 0


def test_the_list_of_runs_tells_test_accuracy(run: RunDirectory) -> None:
    summary = next(s for s in list_runs(run.path.parent) if s.name == run.name)
    assert summary.kind == "final"
    assert summary.best == pytest.approx(0.95, abs=0.002)


def test_what_is_exported_is_the_winner_and_not_by_test_accuracy(run: RunDirectory) -> None:
    chosen = choose_trial(run, "best")
    assert (chosen.values["role"], chosen.values["seed"]) == ("winner", 0)
    found = find_candidate(run.name, run.path.parent)
    assert found.architecture.to_data()["stem"] == chosen.architecture["stem"]


def test_held_out_validation_chooses_the_seed(runs: Path, data: Dataset) -> None:
    with closing(made_run(runs, data, SHARES, name="held", hold_out=True)) as held:
        assert choose_trial(held, "best").values["seed"] == 2


def test_what_failed_is_said_and_the_rest_is_judged(runs: Path, data: Dataset) -> None:
    made = made_run(runs, data, SHARES, name="failing", failed=("0001",))
    done = run_final(made)
    assert [len(row.trials) for row in done.rows] == [2, 3, 3]
    assert any("0001 failed: nan" in line for line in explain_results(done.run, done.rows))
    done.run.close()


def test_where_the_winner_failed_altogether_nothing_is_claimed(runs: Path, data: Dataset) -> None:
    shares = {"winner": [0.9], "random": [0.9], "published": [0.9]}
    done = run_final(made_run(runs, data, shares, name="lost", failed=("0001",)))
    assert [row.role for row in done.rows] == ["random", "published"]
    assert [row.difference for row in done.rows] == [None, None]
    done.run.close()


def test_answers_that_are_deleted_leave_the_recorded_numbers(runs: Path, data: Dataset) -> None:
    done = run_final(made_run(runs, data, SHARES, name="emptied"))
    before = compute_rows(done.run)
    for file in (done.run.path / "trials").glob("*/test.npz"):
        file.unlink()
    assert compute_rows(done.run) == before
    assert read_test_metrics(done.run)
    done.run.close()


def test_damaged_answers_are_one_line(runs: Path, data: Dataset) -> None:
    with closing(made_run(runs, data, SHARES, name="damaged")) as damaged:
        (damaged.trial_dir("0002") / "test.npz").write_bytes(b"PK no archive")
        with pytest.raises(RunError, match=r"0002/test.npz: cannot be read"):
            compute_rows(damaged)


def test_a_run_that_is_not_finished_says_so(runs: Path, data: Dataset) -> None:
    with closing(made_run(runs, data, SHARES, name="half")) as half:
        begin_again = half.db.get_trials()[-1]
        half.db.append("trial_started", started_of(half, begin_again.id), begin_again.id)
        assert "Not finished: 8 of 9 trainings done." in explain_results(half, compute_rows(half))


def started_of(run: RunDirectory, trial: str) -> dict[str, object]:
    events = run.db.get_events_of("trial_started")
    return dict(next(event.data for event in events if event.trial_id == trial))


def test_mlflow_has_test_accuracy_pictures_and_the_note(run: RunDirectory) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{run.path.parent / 'mlflow.db'}")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    mine = [r for r in runs if r.data.tags.get("cnnsearch.run") == run.name]
    parent = next(r for r in mine if "mlflow.parentRunId" not in r.data.tags)
    children = [r for r in mine if r is not parent]
    assert len(children) == 9
    assert all("test_accuracy" in child.data.metrics for child in children)
    assert parent.data.metrics["test_accuracy"] == pytest.approx(0.95, abs=0.002)
    assert parent.data.metrics["published_test_accuracy"] < 0.8
    assert "| winner |" in parent.data.tags["mlflow.note.content"]
    kept = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"results.json", "confusion-1.png", "worst-1.png", "per_class-1.csv"} <= kept
