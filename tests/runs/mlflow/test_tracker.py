"""The process that tracks: killed, in time, and never in the way of the search."""

import random
import signal
import subprocess
import sys
import time

import pytest

from cnnsearch.errors import TrackingError
from cnnsearch.runs import mlflow
from tests.browser import sample_run
from tests.runs.mlflow.stores import SYNC, child, mlflow_runs, points

# MLflow and what it imports warn of things that are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.mark.slow
def test_kill_9_at_random_instants_doubles_nothing(run, tmp_path, empty_store):
    sample_run.search(run, 12)
    rng = random.Random(1)
    for _ in range(10):
        worker = subprocess.Popen(
            [sys.executable, "-c", SYNC, str(run.path.parent)], stdout=subprocess.PIPE
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
