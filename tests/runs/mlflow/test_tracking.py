"""MLflow as a projection: complete, never doubled, and never in the way of the search."""

import http.server
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from cnnsearch.errors import TrackingError
from cnnsearch.runs import mlflow
from cnnsearch.runs.directory import INTERRUPTED
from tests.browser import sample_run

# MLflow and what it imports warn of things that are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An MLflow database with its tables made, which takes seconds, to be copied."""
    root = tmp_path_factory.mktemp("store")
    mlflow.sync(sample_run.create(root))
    with sqlite3.connect(root / "mlflow.db") as db:
        db.execute("delete from experiments where name = 'cnnsearch'")
    db.close()
    return (root / "mlflow.db").read_bytes()


@pytest.fixture
def run(tmp_path, empty_store):
    root = tmp_path / "runs"
    root.mkdir()
    (root / "mlflow.db").write_bytes(empty_store)
    made = sample_run.create(root)
    yield made
    made.close()


def client(run):
    from mlflow import MlflowClient

    uri = mlflow.get_default_uri(run.path.parent)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def mlflow_runs(run):
    """All runs of the store, by name; fails if two have one name."""
    found = client(run).search_runs(["1", "2", "3"], max_results=1000)
    names = [r.info.run_name for r in found]
    assert len(names) == len(set(names)), names
    return {r.info.run_name: r for r in found}


def points(run):
    """All points of the store but their runs' ids: (run name, key, step, value)."""
    query = (
        "select r.name, m.key, m.step, m.value from metrics m join runs r using (run_uuid)"
        " where r.lifecycle_stage = 'active' order by 1, 2, 3, 4"
    )
    db = sqlite3.connect(run.path.parent / "mlflow.db")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def child(run, number):
    return next(r for n, r in mlflow_runs(run).items() if n.startswith(f"{number:03d} "))


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


KILLED = """
import sys
from pathlib import Path
from cnnsearch.runs import mlflow
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.mlflow import environment
environment.configure_mlflow()
import cnnsearch.runs.mlflow.store
print("go", flush=True)
mlflow.sync(RunDirectory.open(Path(sys.argv[1]), "first"))
"""


@pytest.mark.slow
def test_kill_9_at_random_instants_doubles_nothing(run, tmp_path, empty_store):
    sample_run.search(run, 12)
    rng = random.Random(1)
    for _ in range(10):
        worker = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(run.path.parent)], stdout=subprocess.PIPE
        )
        assert worker.stdout.readline() == b"go\n"
        time.sleep(rng.uniform(0.0, 0.9))
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    mlflow.sync(run)
    killed = points(run)
    (run.path.parent / "mlflow.db").write_bytes(empty_store)
    mlflow.sync(run)
    assert killed == points(run)
    assert len(mlflow_runs(run)) == 13


def test_the_tracker_follows_without_holding_up_the_search(run, capfd):
    messages = []
    tracker = mlflow.Tracker(run, on_message=messages.append)
    tracker.start()
    slowest = 0.0
    run.db.append("run_started", {"resumed": False, "environment": {}})
    for number in (1, 2, 3):
        sample_run.trial(run.db, number, random.Random(number), time.time())
        started = time.perf_counter()
        tracker.notify()
        slowest = max(slowest, time.perf_counter() - started)
    run.db.append("run_ended", {"reason": "trials"})
    tracker.notify()
    assert tracker.close(timeout=60)
    assert slowest < 0.05
    assert len(mlflow_runs(run)) == 4
    assert mlflow_runs(run)["first"].info.status == "FINISHED"
    assert messages == []
    assert capfd.readouterr() == ("", ""), "MLflow's chatter reached the terminal"


def test_curves_arrive_while_the_candidate_is_training(run):
    tracker = mlflow.Tracker(run)
    tracker.start()
    run.db.append("run_started", {"resumed": False, "environment": {}})
    run.db.append("trial_started", sample_run.candidate(1, random.Random(0)), "001")
    run.db.append("epoch", sample_run.epoch(1, 8, 0.9), "001")
    tracker.notify()
    deadline = time.monotonic() + 30
    while not any(key == "val_accuracy" for _, key, _, _ in points(run)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert child(run, 1).info.status == "RUNNING"
    tracker.close()


def test_a_tracker_that_was_never_started_can_be_closed(run):
    messages = []
    run.db.append("run_started", {"resumed": False, "environment": {}})
    assert not mlflow.Tracker(run, on_message=messages.append).close(1)
    assert messages == [
        "MLflow lacks the last 1 events of run 'first'; write them with: cnnsearch sync first"
    ]


class _Broken(http.server.BaseHTTPRequestHandler):
    """Answers as its server's ``mode`` says: 500, garbage, or not at all."""

    def _answer(self):
        self.server.asked += 1
        if self.server.mode == "hang":
            self.server.released.wait(60)
            return
        self.send_response({"500": 500, "garbage": 200, "forbidden": 403}[self.server.mode])
        self.end_headers()
        self.wfile.write(b"<html>not MLflow</html>")

    do_GET = do_POST = do_PATCH = _answer

    def log_message(self, *args):
        pass


@pytest.fixture
def broken():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Broken)
    server.daemon_threads, server.asked, server.mode = True, 0, "500"
    server.released = threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("mode", ["500", "garbage", "forbidden", "hang", "refused"])
def test_a_server_that_is_down_is_said_once_and_costs_little(run, broken, mode, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    broken.mode = mode if mode != "refused" else "500"
    uri = f"http://127.0.0.1:{broken.server_address[1] if mode != 'refused' else 1}"
    messages = []
    sample_run.search(run, 2)
    tracker = mlflow.Tracker(run, uri, on_message=messages.append)
    tracker.start()
    for _ in range(3):
        tracker.notify()
        time.sleep(0.5)
    started = time.perf_counter()
    assert not tracker.close(timeout=20)
    assert time.perf_counter() - started < 10
    down, behind = messages
    assert down.startswith(f"MLflow at {uri} does not answer, the search continues without it: ")
    assert "\n" not in down
    assert behind.startswith(f"MLflow lacks the last {run.db.get_last_seq()} events")
    if mode != "refused":
        assert 1 <= broken.asked <= 4, "a server that is down is asked too often"
    with pytest.raises(TrackingError):
        mlflow.sync(run, uri)
    assert mlflow.count_missing(run, uri) == run.db.get_last_seq()


def test_sync_refuses_while_the_search_is_tracking(run, tmp_path):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX);"
            " print('held', flush=True); time.sleep(60)",
            str(run.path / "mlflow.lock"),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        holder.stdout.readline()
        with pytest.raises(TrackingError, match="being written to MLflow by another process"):
            mlflow.sync(run)
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.slow
def test_searches_that_start_together_make_one_store(tmp_path):
    names = ["a", "b", "c"]
    for name in names:
        run = sample_run.create(tmp_path, name)
        sample_run.search(run, 1)
        run.close()
    code = KILLED.replace('"first"', "sys.argv[2]")
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in names
    ]
    assert [w.wait(timeout=120) for w in workers] == [0, 0, 0]
    db = sqlite3.connect(tmp_path / "mlflow.db")
    (count,) = db.execute("select count(*) from experiments where name = 'cnnsearch'").fetchone()
    assert count == 1
    assert db.execute("select count(*) from runs").fetchone() == (6,)
    db.close()


@pytest.mark.slow
def test_a_real_server_goes_away_comes_back_and_gets_everything(run, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    with mlflow.serve_ui(run.path.parent) as server:
        uri = server.url
        messages = []
        tracker = mlflow.Tracker(run, uri, on_message=messages.append)
        sample_run.search(run, 2, ended=None)
        tracker.start()
        deadline = time.monotonic() + 60
        while mlflow.count_missing(run, uri):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    sample_run.trial(run.db, 3, random.Random(3), time.time())
    tracker.notify()
    deadline = time.monotonic() + 60
    while not messages:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(3)
    assert len(messages) == 1, "it is said once, however often it is tried"
    with mlflow.serve_ui(run.path.parent, int(uri.rpartition(":")[2])):
        deadline = time.monotonic() + 60
        while mlflow.count_missing(run, uri):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert tracker.close()
    assert len(messages) == 1
    assert len(mlflow_runs(run)) == 4
    assert len(client(run).get_metric_history(child(run, 3).info.run_id, "loss")) == 8


@pytest.mark.slow
def test_the_ui_is_served_on_loopback_with_the_searchs_page(run):
    sample_run.search(run, 3)
    mlflow.sync(run)
    with mlflow.serve_ui(run.path.parent) as server:
        assert server.url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(server.url, timeout=10) as answer:
            assert b"<title>MLflow</title>" in answer.read()
        page = server.locate_search(run)
        number, key = re.fullmatch(
            rf"{server.url}/#/experiments/(\d+)/runs\?.*viewStateShareKey=(.*)", page
        ).groups()
        address = f"{server.url}/api/2.0/mlflow/experiments/get?experiment_id={number}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            tags = {t["key"]: t["value"] for t in json.load(answer)["experiment"]["tags"]}
        view = json.loads(tags[f"mlflow.sharedViewState.{key}"])
        assert "metrics.`best_val_accuracy`" in view["selectedColumns"]
        body = json.dumps({"experiment_ids": [number], "filter": view["searchFilter"]}).encode()
        request = urllib.request.Request(
            f"{server.url}/api/2.0/mlflow/runs/search",
            body,
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert len(json.load(answer)["runs"]) == 3
        pid = server.process.pid
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)


def test_the_ui_needs_a_store_and_a_free_port(tmp_path, run, broken):
    with (
        pytest.raises(TrackingError, match="no MLflow store here yet"),
        mlflow.serve_ui(tmp_path / "x"),
    ):
        pass
    taken = broken.server_address[1]
    message = f"port {taken}: Address already in use"
    with pytest.raises(TrackingError, match=message), mlflow.serve_ui(run.path.parent, taken):
        pass


def test_neither_mlflow_nor_keras_is_imported_before_it_is_needed():
    code = (
        "import sys, cnnsearch.runs.mlflow;"
        "print([m for m in ('mlflow', 'tensorflow', 'keras') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "[]\n"


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


def test_a_finished_search_has_its_pictures(run):
    start = sample_run.candidate(1, random.Random(0))
    network = {
        "input": [8, 8, 1],
        "classes": 10,
        "stages": [{"block": "basic", "depth": 1, "width": 8}],
    }
    run.db.append("run_started", {"resumed": False, "environment": {}})
    run.db.append("trial_started", {**start, "architecture": network}, "001")
    for step in (1, 2, 3):
        run.db.append("epoch", sample_run.epoch(step, 3, 0.9), "001")
    end = {"status": "completed", "score": 0.8, "reason": None, "metrics": {}, "seconds": 4.0}
    run.db.append("trial_ended", end, "001")
    run.db.append("run_ended", {"reason": "trials"})
    (run.path / "report.html").write_text("<html></html>")
    mlflow.sync(run)
    runs = mlflow_runs(run)
    parent = {a.path for a in client(run).list_artifacts(runs["first"].info.run_id)}
    assert parent == {"space.yaml", "run.json", "pareto.png", "curves.png", "report.html"}
    mine = {a.path for a in client(run).list_artifacts(child(run, 1).info.run_id)}
    assert mine == {"architecture.json", "recipe.json", "architecture.png"}
    assert child(run, 1).inputs.dataset_inputs[0].dataset.name == "digits"


def test_system_metrics_are_logged_on_request(run, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    tracker = mlflow.Tracker(run)
    run.db.append("run_started", {"resumed": False, "environment": {}})
    tracker.start()
    deadline = time.monotonic() + 60
    while not any(key == "system/cpu_utilization_percentage" for _, key, _, _ in points(run)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    tracker.close()
    assert mlflow_runs(run)["first"].data.metrics["system/system_memory_usage_megabytes"] > 10


@pytest.mark.parametrize(
    ("here", "opens"),
    [
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}, False),
        ({"DISPLAY": ":10", "SSH_TTY": "/dev/pts/1"}, False),
        ({}, False),
    ],
)
def test_a_browser_is_opened_where_the_user_is(here, opens, monkeypatch):
    import webbrowser

    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", "linux")
    asked = []
    monkeypatch.setattr(webbrowser, "open", lambda url: asked.append(url) or True)
    assert mlflow.open_browser("http://127.0.0.1:5000") is opens
    assert asked == ["http://127.0.0.1:5000"] * opens


def test_an_unexpected_error_is_one_line_and_the_search_continues(run, monkeypatch):
    def fail(*values):
        raise AttributeError("nobody\nforesaw this")

    monkeypatch.setattr("cnnsearch.runs.mlflow.tracker._open_projection", fail)
    messages = []
    tracker = mlflow.Tracker(run, on_message=messages.append)
    tracker.start()
    tracker.close(10)
    assert "continues without it: AttributeError: nobody foresaw this" in messages[0]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "API request to http://127.0.0.1:9/api/2.0/mlflow/x failed with exception "
            "HTTPConnectionPool(host='127.0.0.1', port=9): Max retries exceeded with url: /api "
            "(Caused by NewConnectionError('...: [Errno 111] Connection refused'))",
            "http://127.0.0.1:9: nothing listens there (connection refused)",
        ),
        (
            "HTTPSConnectionPool(host='mlflow.example', port=443): Read timed out.",
            "mlflow.example:443: no answer in time",
        ),
        ("something else\nin two lines", "something else"),
    ],
)
def test_what_requests_says_of_a_dead_server_is_a_describe(text, line):
    from cnnsearch.runs.mlflow.store import _describe

    assert _describe(Exception(text)) == line
