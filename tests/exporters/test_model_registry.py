"""A winner in MLflow's registry, and what a server makes of it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.runs import mlflow
from tests.browser import sample_run
from tests.cli.program import refused, run

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.filterwarnings("default")  # MLflow's own


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits", "--run", "frist"], "no run 'frist' in runs, did you mean 'first'"),
        (["digits"], "run 'first' has no finished trial yet"),
        (["digits", "--alias", ""], "--alias '': must be 1 to 255 letters, digits"),
        (["digits", "--alias", "a b"], "--alias 'a b': must be 1 to 255 letters, digits"),
        (["digits", "--alias", "v3"], "--alias 'v3': reserved by MLflow"),
        (["digits", "--alias", "Latest"], "--alias 'Latest': reserved by MLflow"),
        (["a/b"], "NAME 'a/b': a registered model's name has"),
        ([""], "NAME '': a registered model's name has"),
        (["it's"], "NAME \"it's\": a registered model's name has"),
    ],
)
def test_what_cannot_be_registered_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    made = sample_run.create(tmp_path / "runs")
    made.db.append("run_started", {"resumed": False, "environment": {}})
    made.close()
    assert refused(capsys, "register", *arguments).startswith(message)


def test_a_trial_that_is_not_there_is_named(tmp_path: Path, capsys: Capture) -> None:
    made = sample_run.create(tmp_path / "runs")
    sample_run.search(made, 2)
    made.close()
    line = refused(capsys, "register", "digits", "--trial", "77")
    assert line.startswith("run 'first' has no trial '77'")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, body: object) -> Any:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def served(command: str, log: Path) -> Iterator[str]:
    """Runs the command that ``register`` printed, on a free port; yields the server's address."""
    setting, words = command.replace("\\", "").split(None, 1)
    name, _, value = setting.partition("=")
    port = free_port()
    argv = [sys.executable, "-m", *words.split()]
    argv[argv.index("--port") + 1] = str(port)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # mlflow runs uvicorn by name
    with log.open("wb") as file:
        server = subprocess.Popen(
            argv,
            env={**os.environ, name: value, "PATH": path, "PYTHONPATH": ""},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            _await(f"http://127.0.0.1:{port}/ping", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, 9)
            server.wait()


def _await(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 600  # importing TensorFlow, on a busy machine
    while True:
        assert server.poll() is None and time.monotonic() < deadline, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)


@pytest.mark.slow
def test_the_winner_is_registered_and_answers_http_with_probabilities(
    tmp_path: Path, capsys: Capture
) -> None:
    search = ("search", "tiny", "--name", "first", "--trials", "2", "--epochs", "1", "--plain")
    assert run(*search, "--workers", "0") == 0
    capsys.readouterr()
    assert run("register", "digits", "--alias", "champion") == 0
    printed = capsys.readouterr().out
    assert re.match(r"Trial \d+ of run first is digits version 1\.\n", printed)
    assert "The alias champion refers to version 1 now.\n" in printed
    again = ("register", "digits", "--run", "first", "--json")
    assert run(*again) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["version"], done["new"], done["uri"]) == ("1", False, "models:/digits/1")

    from mlflow import MlflowClient

    uri = mlflow.get_default_uri(Path("runs"))
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    version = client.get_model_version_by_alias("digits", "champion")
    assert version.run_id == done["mlflow_run"]
    assert "test accuracy" in version.description
    (logged,) = client.search_logged_models(["1"])
    assert (logged.name, logged.source_run_id) == ("digits", done["mlflow_run"])
    run_info = client.get_run(done["mlflow_run"])
    assert [m.model_id for m in run_info.outputs.model_outputs] == [logged.model_id]
    folder = Path(urllib.request.url2pathname(logged.artifact_location.removeprefix("file://")))
    assert not list(folder.rglob("*.pkl")), "the model was pickled"
    example = json.loads((folder / "serving_input_example.json").read_text())
    assert np.shape(example["inputs"])[0] == 1

    for url in served(printed.split("Serve it with:\n")[1].strip(), tmp_path / "server.log"):
        _check_answers(url, example)


def _check_answers(url: str, example: dict[str, Any]) -> None:
    (row,) = ask(f"{url}/invocations", example)["predictions"]
    assert list(row) == [str(digit) for digit in range(10)]
    assert sum(row.values()) == pytest.approx(1, abs=1e-5)
    twice = np.repeat(np.asarray(example["inputs"]), 3, axis=1).repeat(3, axis=2)  # any size
    answers = ask(f"{url}/invocations", {"inputs": [*twice.tolist(), *(255 - twice).tolist()]})
    assert len(answers["predictions"]) == 2
    assert answers["predictions"][0] != answers["predictions"][1]
    with pytest.raises(urllib.error.HTTPError) as wrong:
        ask(f"{url}/invocations", {"inputs": [[["text"]]]})
    wrong.value.close()
    assert 400 <= wrong.value.code < 500
