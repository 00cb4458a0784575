"""Serves MLflow's UI for the store beside the runs, on 127.0.0.1 only."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cnnsearch.errors import TrackingError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.mlflow import pages
from cnnsearch.runs.mlflow.environment import configure_mlflow
from cnnsearch.runs.mlflow.tracker import EXPERIMENT, get_default_uri, name_cursor

_TIMEOUT = 60.0  # seconds for the server to start; it takes 5 to 10 on two cores

# When this process ends, even by kill -9, the keeper's input closes, and it ends the server.
_KEEPER = """
import os, subprocess, sys, threading
server = subprocess.Popen([sys.executable, "-m", "mlflow", *sys.argv[1:]], stdin=subprocess.DEVNULL)
end = lambda: (sys.stdin.read(), os.killpg(0, 15))
threading.Thread(target=end, daemon=True).start()
sys.exit(server.wait())
"""


@dataclass(frozen=True)
class TrackingUI:
    """A running MLflow server."""

    url: str
    process: subprocess.Popen[bytes]

    def locate_search(self, run: RunDirectory, experiment: str = EXPERIMENT) -> str:
        """Returns the URL of a search: its candidates, the most accurate first."""
        number = _get_experiment(run, experiment)
        return self.url + pages.locate_search(number, run.name) if number else self.url

    def locate_searches(self, run: RunDirectory, experiment: str = EXPERIMENT) -> str:
        """Returns the URL of the table of all searches."""
        number = _get_experiment(run, experiment)
        return self.url + pages.locate_searches(number) if number else self.url


@contextmanager
def serve_ui(runs_root: Path, port: int | None = None) -> Iterator[TrackingUI]:
    """Serves the MLflow store beside the runs on 127.0.0.1 while the context lasts.

    Args:
        runs_root: the folder that holds the runs.
        port: None: any free port.

    Raises:
        TrackingError: there is no store, the port is taken, or the server does not start.
    """
    database = runs_root / "mlflow.db"
    if not database.is_file():
        raise TrackingError(f"{database}: no MLflow store here yet; run a search or cnnsearch sync")
    port = _check_port(port)
    with tempfile.TemporaryFile() as log:
        process = _launch(runs_root, port, log)
        try:
            _await_server(process, f"http://127.0.0.1:{port}", log)
            yield TrackingUI(f"http://127.0.0.1:{port}", process)
        finally:
            _end_server(process)


def _get_experiment(run: RunDirectory, experiment: str) -> str | None:
    return run.db.open_mapping(name_cursor(None, experiment)).get("experiment")


def _launch(runs_root: Path, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    configure_mlflow()
    command = [sys.executable, "-c", _KEEPER, "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", get_default_uri(runs_root)]
    command += ["--default-artifact-root", (runs_root / "mlartifacts").resolve().as_uri()]
    # In its own session, so that Ctrl-C reaches only this process, which ends the server.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
    )


def _await_server(process: subprocess.Popen[bytes], url: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise TrackingError(f"MLflow's server ended at once: {_last_line(log)}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
            return
        time.sleep(0.2)
    raise TrackingError(f"MLflow's server at {url} did not answer within {_TIMEOUT:.0f} s")


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"


def _end_server(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal_group(process, number)
        deadline = time.monotonic() + 5
        while _signal_group(process, 0) and time.monotonic() < deadline:
            process.poll()
            time.sleep(0.05)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> bool:
    try:
        os.killpg(process.pid, number)  # keeper, server and workers
    except ProcessLookupError:
        return False
    return True


def _check_port(wanted: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted or 0))
        except OSError as error:
            raise TrackingError(f"port {wanted}: {error.strerror or error}") from error
        return int(probe.getsockname()[1])


def open_browser(url: str) -> bool:
    """Opens a page in the user's browser, unless over SSH; returns whether it did."""
    if is_remote() or not (sys.platform == "darwin" or _has_screen()):
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False


def is_remote() -> bool:
    """Returns whether the user is connected over SSH."""
    return any(os.environ.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))


def _has_screen() -> bool:
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
