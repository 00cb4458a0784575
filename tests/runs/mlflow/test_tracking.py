"""MLflow as a projection of a run: complete, and never doubled."""

import json
import random
import re
import time
import urllib.request
from pathlib import Path

import pytest

from cnnsearch.errors import TrackingError
from cnnsearch.runs import mlflow
from cnnsearch.runs.directory import INTERRUPTED
from tests.browser import sample_run
from tests.runs.mlflow.stores import child, client, mlflow_runs, points

# MLflow and what it imports warn of things that are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


def test_a_search_becomes_a_parent_and_its_candidates_children(run):
    sample_run.search(run, 6)
    assert mlflow.sync(run) == run.db.get_last_seq()
    runs = mlflow_runs(run)
    assert len(runs) == 7
    parent = runs.pop("first")
    assert parent.info.status == "FINISHED"
    for found in runs.values():
        assert re.fullmatch(
            r"00\d (residual|dense|separable|inception|plain) [\d.]+k", (found.info.run_name)
        )
        assert found.data.tags["mlflow.parentRunId"] == parent.info.run_id


def test_a_candidate_has_its_parameters_costs_curves_and_artifacts(run):
    sample_run.search(run, 3)
    mlflow.sync(run)
    found, trial = child(run, 2), run.db.get_trial("002")
    assert found.data.params == {
        k: v if isinstance(v, str) else json.dumps(v) for k, v in trial.values.items()
    }
    metrics = found.data.metrics
    assert metrics["params"] == trial.params
    assert metrics["params_total"] == trial.params_total
    assert metrics["macs"] == trial.macs
    assert metrics["flops"] == 2 * trial.macs
    assert metrics["seconds"] == pytest.approx(trial.seconds)
    history = run.db.get_history("002")
    assert metrics["val_accuracy"] == pytest.approx(history[-1]["val_accuracy"], rel=1e-5)
    assert metrics["best_val_accuracy"] == pytest.approx(
        max(h["val_accuracy"] for h in history), rel=1e-5
    )
    for key in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
        curve = client(run).get_metric_history(found.info.run_id, key)
        assert [p.step for p in curve] == list(range(1, 9))
        assert [p.value for p in curve] == pytest.approx([h[key] for h in history], rel=1e-5)
    tags = found.data.tags
    assert (tags["status"], tags["family"]) == ("completed", trial.family)
    assert tags["fingerprint"] == trial.fingerprint
    folder = Path(urllib.request.url2pathname(found.info.artifact_uri.removeprefix("file://")))
    assert json.loads((folder / "architecture.json").read_text()) == trial.architecture
    assert run.path.parent / "mlartifacts" in folder.parents


def test_the_parent_says_what_was_searched_where_and_what_came_out(run):
    sample_run.search(run, 6)
    mlflow.sync(run)
    parent = mlflow_runs(run)["first"]
    assert parent.data.params["seed"] == "0"
    assert parent.data.params["dataset.fingerprint"] == "5f1c0e6f2a9b4d37"
    assert parent.data.tags["environment.device"] == "CPU"
    assert parent.data.tags["mlflow.source.git.commit"].startswith("0123456789")
    (dataset,) = parent.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("digits", "5f1c0e6f2a9b4d37")
    folder = Path(urllib.request.url2pathname(parent.info.artifact_uri.removeprefix("file://")))
    assert (folder / "space.yaml").read_text() == run.space_text
    best = max((t for t in run.db.get_trials() if t.score), key=lambda t: t.score)
    note = parent.data.tags["mlflow.note.content"]
    assert "Search of **mixed** on **digits** by **evolution** (seed 0)" in note
    assert "5 completed, 1 failed" in note
    assert f"[{best.number:03d} " in note.split("Best so far", 1)[1].split("\n", 1)[0]
    assert "cnnsearch export best --run first" in note
    curve = client(run).get_metric_history(parent.info.run_id, "best_so_far")
    assert [p.step for p in curve] == [1, 2, 3, 4, 5]
    assert [p.value for p in curve] == sorted(p.value for p in curve)
    assert curve[-1].value == best.score


def test_what_failed_says_why(run):
    sample_run.search(run, 5)
    mlflow.sync(run)
    failed = child(run, 5)
    assert (failed.info.status, failed.data.tags["status"]) == ("FAILED", "failed")
    assert failed.data.tags["reason"] == "nan: the loss is not a number"


def test_an_interrupted_search_is_shown_as_such_and_continues_after_a_resume(run):
    sample_run.search(run, 2, ended=None)
    run.db.append("trial_started", sample_run.candidate(3, random.Random(9)), "003")
    run.db.append("epoch", sample_run.epoch(1, 8, 0.9), "003")
    mlflow.sync(run)  # no run_ended: the process was killed
    assert mlflow_runs(run)["first"].info.status == "KILLED"
    assert child(run, 3).info.status == "KILLED"
    run.db.append("run_started", {"resumed": True, "environment": {}})
    with run.lock():
        mlflow.sync(run)
    assert mlflow_runs(run)["first"].info.status == "RUNNING"
    sample_run.trial(run.db, 3, random.Random(9), time.time())
    run.db.append("run_ended", {"reason": "trials"})
    mlflow.sync(run)
    assert mlflow_runs(run)["first"].info.status == "FINISHED"
    assert child(run, 3).info.status == "FINISHED"
    curve = client(run).get_metric_history(child(run, 3).info.run_id, "val_accuracy")
    assert [p.step for p in curve] == list(range(1, 9)), "the epoch done again is there twice"


def test_ctrl_c_ends_the_parent_as_killed(run):
    sample_run.search(run, 1, ended=INTERRUPTED)
    mlflow.sync(run)
    parent = mlflow_runs(run)["first"]
    assert (parent.info.status, parent.data.tags["status"]) == ("KILLED", "interrupted")


def test_a_promoted_candidate_keeps_its_run(run):
    start = sample_run.candidate(1, random.Random(0), epochs=3)
    run.db.append("run_started", {"resumed": False, "environment": {}})
    run.db.append("trial_started", start, "a")
    for step in (1, 2, 3):
        run.db.append("epoch", sample_run.epoch(step, 9, 0.9), "a")
    end = {"status": "completed", "score": 0.5, "reason": None, "metrics": {}, "seconds": 4.0}
    run.db.append("trial_ended", end, "a")
    again = {**start, "number": 2, "epochs": 9, "initial_epoch": 3, "continues": "a"}
    run.db.append("trial_started", again, "b")
    run.db.append("trial_started", again, "b")  # by a session that resumed it
    for step in range(4, 10):
        run.db.append("epoch", sample_run.epoch(step, 9, 0.9), "b")
    run.db.append("trial_ended", {**end, "score": 0.8}, "b")
    mlflow.sync(run)
    runs = mlflow_runs(run)
    assert len(runs) == 2
    found = child(run, 1)
    assert (found.info.status, found.data.metrics["score"]) == ("FINISHED", 0.8)
    curve = client(run).get_metric_history(found.info.run_id, "val_accuracy")
    assert [p.step for p in curve] == list(range(1, 10))
    budgets = client(run).get_metric_history(found.info.run_id, "epochs")
    assert [p.value for p in budgets] == [3, 9], "one for each rung, however often it was started"


def test_nothing_is_doubled_when_the_cursor_was_not_saved(run):
    sample_run.search(run, 6)
    mlflow.sync(run)
    before, names = points(run), set(mlflow_runs(run))
    for forgotten in (0, 20, 40):
        (name,) = [n for (n,) in run.db._rows("select name from projection")]
        with run.db.transaction():
            run.db.set_cursor(name, forgotten)
            run.db.open_mapping(name).clear() if forgotten == 0 else None
        mlflow.sync(run)
        assert points(run) == before
        assert set(mlflow_runs(run)) == names


def test_a_store_that_was_deleted_is_filled_again(run, empty_store):
    sample_run.search(run, 4)
    mlflow.sync(run)
    before = points(run)
    (run.path.parent / "mlflow.db").write_bytes(empty_store)
    mlflow.sync(run)
    assert points(run) == before


def test_an_earlier_run_of_the_same_name_is_another_one(run):
    import shutil

    sample_run.search(run, 2)
    mlflow.sync(run)
    run.close()
    shutil.rmtree(run.path)
    again = sample_run.create(run.path.parent)
    sample_run.search(again, 3)
    mlflow.sync(again)
    found = client(run).search_runs(["1", "2", "3"], "tags.`cnnsearch.kind` = 'search'")
    assert len(found) == 2
    again.close()


def test_what_mlflow_would_refuse_is_made_to_fit(run):
    start = sample_run.candidate(1, random.Random(0))
    odd = {"a" * 400: 1, "b": "x" * 9000, "c[0]=é": [1, 2], **{f"p{n}": n for n in range(250)}}
    run.db.append("run_started", {"resumed": False, "environment": {"note": "y" * 9000}})
    run.db.append("trial_started", {**start, "values": odd}, "001")
    nan = {"epoch": 1, "metrics": {"loss": float("nan"), "val_accuracy": float("inf"), "x": "text"}}
    run.db.append("epoch", nan, "001")
    end = {"status": "failed", "score": None, "reason": "r" * 9000, "metrics": {}}
    run.db.append("trial_ended", {**end, "seconds": 1.0}, "001")
    messages = []
    mlflow.sync(run, on_message=messages.append)
    assert messages == []
    assert len(child(run, 1).data.params) == 253
    assert child(run, 1).info.status == "FAILED"


def test_a_refusal_is_said_and_does_not_hold_up_the_rest(run):
    sample_run.search(run, 1, ended=None)
    mlflow.sync(run)
    client(run).delete_run(child(run, 1).info.run_id)
    run.db.append("epoch", sample_run.epoch(9, 9, 0.9), "001")
    sample_run.trial(run.db, 2, random.Random(5), time.time())
    messages = []
    mlflow.sync(run, on_message=messages.append)
    assert messages
    assert all("MLflow refused part of run 'first'" in m for m in messages)
    assert child(run, 2).info.status == "FINISHED"


def test_artifacts_that_cannot_be_written_are_said_once_and_missed_alone(run):
    (run.path.parent / "mlartifacts").write_text("in the way")
    sample_run.search(run, 2)
    messages = []
    mlflow.sync(run, on_message=messages.append)
    assert len(messages) == len(set(messages)) == 4
    assert "artifact architecture.json and recipe.json" in messages[1]
    assert child(run, 2).info.status == "FINISHED"
    assert child(run, 2).data.metrics["val_accuracy"] > 0


def test_a_parent_made_but_not_furnished_is_furnished_later(run, monkeypatch):
    from cnnsearch.runs.mlflow.store import Store, Unreachable

    def die(*_):
        raise Unreachable("gone")

    sample_run.search(run, 1)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "upload_texts", die)
        with pytest.raises(TrackingError, match="gone"):
            mlflow.sync(run)
    mlflow.sync(run)
    parent = mlflow_runs(run)["first"]
    assert len(parent.inputs.dataset_inputs) == 1
    names = {a.path for a in client(run).list_artifacts(parent.info.run_id)}
    assert names == {"run.json", "space.yaml", "pareto.png", "curves.png"}


def test_who_is_on_the_pareto_front_is_tagged_and_filtered(run):
    from cnnsearch.runs.ranking import find_pareto_front

    sample_run.search(run, 8, ended=None)
    mlflow.sync(run)
    for more in range(2):
        if more:
            start = {**sample_run.candidate(9, random.Random(1)), "macs": 10}
            run.db.append("trial_started", start, "009")
            end = {"status": "completed", "score": 0.9999, "reason": None, "metrics": {}}
            run.db.append("trial_ended", {**end, "seconds": 1.0}, "009")
            mlflow.sync(run)
        numbers = {t.number for t in find_pareto_front(run.db.get_trials())}
        found = client(run).search_runs(["1", "2", "3"], "tags.pareto = 'true'")
        assert {int(r.info.run_name.split()[0]) for r in found} == numbers
        others = client(run).search_runs(["1", "2", "3"], "tags.pareto = 'false'")
        assert {int(r.info.run_name.split()[0]) for r in others} == {
            t.number for t in run.db.get_trials() if t.status == "completed"
        } - numbers | {5}
    assert numbers == {9}


def test_filters_on_flat_names_work(run):
    sample_run.search(run, 6)
    mlflow.sync(run)
    trials = run.db.get_trials()
    family = trials[0].family
    queries = {
        f"tags.family = '{family}'": lambda t: t.family == family,
        "tags.status = 'failed'": lambda t: t.status == "failed",
        f"params.`stages.0.block` = '{family}'": lambda t: t.values["stages.0.block"] == family,
        f"metrics.macs < {trials[0].macs}": lambda t: t.macs < trials[0].macs,
        f"metrics.flops >= {2 * trials[0].macs}": lambda t: t.macs >= trials[0].macs,
    }
    for query, wanted in queries.items():
        found = client(run).search_runs(["1", "2", "3"], query)
        numbers = {int(r.info.run_name.split()[0]) for r in found}
        assert numbers == {t.number for t in trials if wanted(t)}, query


def test_latency_is_a_column_where_it_was_measured(run):
    sample_run.search(run, 2)
    run.db.append("exported", {"path": "x", "latency_ms": 3.5, "test_accuracy": 0.9}, "001")
    tested = {"test_accuracy": 0.91, "latency_ms_batch_1": 4.5, "latency_ms_batch_32": 20.0}
    run.db.append("evaluated", tested, "002")
    mlflow.sync(run)
    assert child(run, 1).data.metrics["latency_ms"] == 3.5
    assert child(run, 1).data.metrics["test_accuracy"] == 0.9
    assert child(run, 2).data.metrics["latency_ms"] == 4.5


def test_the_accuracy_of_an_export_without_a_test_split_is_no_test_accuracy(run):
    sample_run.search(run, 1)
    found = {"latency_ms": 3.5, "test_accuracy": 0.9, "split": "validation"}
    run.db.append("exported", found, "001")
    mlflow.sync(run)
    assert child(run, 1).data.metrics["latency_ms"] == 3.5
    assert "test_accuracy" not in child(run, 1).data.metrics
