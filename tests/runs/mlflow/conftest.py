"""A search's run beside an MLflow store, and servers that do not work."""

import http.server
import sqlite3
import threading

import pytest

from cnnsearch.runs import mlflow
from tests.browser import sample_run


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
