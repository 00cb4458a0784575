"""Stores that several processes write to, and the UI that serves them."""

import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import time
import urllib.request

import pytest

from cnnsearch.errors import TrackingError
from cnnsearch.runs import mlflow
from tests.browser import sample_run
from tests.runs.mlflow.stores import SYNC, child, client, mlflow_runs

# MLflow and what it imports warn of things that are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.mark.slow
def test_searches_that_start_together_make_one_store(tmp_path):
    names = ["a", "b", "c"]
    for name in names:
        run = sample_run.create(tmp_path, name)
        sample_run.search(run, 1)
        run.close()
    code = SYNC.replace('"first"', "sys.argv[2]")
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
