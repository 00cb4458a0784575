"""An MLflow server with PostgreSQL behind it: everything gets there, also after it was away.

Needs PostgreSQL's ``initdb`` and ``postgres``, which refuse to run as root, and psycopg2
(``pip install psycopg2-binary``); is skipped otherwise.
"""

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from cnnsearch.runs import mlflow
from cnnsearch.runs.directory import RunDirectory
from tests.browser import sample_run

TOOLS = [shutil.which(name) for name in ("initdb", "postgres")]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(None in TOOLS, reason="needs PostgreSQL: initdb and postgres"),
    pytest.mark.skipif(find_spec("psycopg2") is None, reason="needs psycopg2-binary"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(ready: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A database of our own on a free port of the loopback address; yields its URI."""
    nobody = 65534 if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are not for others
        folder = Path(name)
        if nobody:
            os.chown(folder, nobody, nobody)
            folder.chmod(0o700)
        data, port = folder / "data", free_port()
        initdb, program = map(str, TOOLS)
        make = [initdb, "-D", str(data), "-U", "mlflow", "--auth=trust", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, user=nobody, cwd=folder)
        command = [program, "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", name]
        server = subprocess.Popen(
            command, user=nobody, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(lambda: answers(port))
            yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait()


@contextmanager
def mlflow_server(backend: str, artifacts: Path, port: int) -> Iterator[str]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    command += ["--port", str(port), "--backend-store-uri", backend]
    command += ["--artifacts-destination", artifacts.as_uri()]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _healthy(url))
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def _healthy(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/health", timeout=5).close()
    except OSError:
        return False
    return True


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    made = sample_run.create(tmp_path / "runs")
    yield made
    made.close()


def test_a_server_on_postgres_gets_everything_also_after_it_was_away(
    run: RunDirectory, postgres: str, tmp_path: Path
) -> None:
    port, messages = free_port(), list[str]()
    artifacts = tmp_path / "artifacts"
    sample_run.search(run, 2, ended=None)
    with mlflow_server(postgres, artifacts, port) as uri:
        tracker = mlflow.Tracker(run, uri, on_message=messages.append)
        tracker.start()
        wait_for(lambda: mlflow.count_missing(run, uri) == 0)
    assert messages == []
    sample_run.trial(run.db, 3, random.Random(3), time.time())  # while it is away
    tracker.notify()
    time.sleep(3)
    assert len(messages) == 1 and "does not answer" in messages[0]
    run.db.append("run_ended", {"reason": "trials"})
    with mlflow_server(postgres, artifacts, port) as uri:
        wait_for(lambda: mlflow.count_missing(run, uri) == 0)
        assert tracker.close()
        assert mlflow.sync(run, uri) == 0
        _check(run, uri)
    assert len(messages) == 1


def _check(run: RunDirectory, uri: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = client.search_runs(
        [client.get_experiment_by_name("cnnsearch").experiment_id], "tags.`cnnsearch.run` = 'first'"
    )
    assert sorted(r.info.run_name.split()[0] for r in found) == ["001", "002", "003", "first"]
    assert {r.info.status for r in found} == {"FINISHED"}
    for child in (r for r in found if r.info.run_name != "first"):
        curve = client.get_metric_history(child.info.run_id, "val_accuracy")
        assert [point.step for point in curve] == list(range(1, 9))
        names = {a.path for a in client.list_artifacts(child.info.run_id)}
        assert names >= {"architecture.json", "recipe.json"}
