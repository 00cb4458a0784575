"""The run's database: what is acknowledged is kept, whatever dies."""

import math
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from cnnsearch.errors import RunError
from cnnsearch.runs.database import RunDatabase

START = {
    "number": 1,
    "values": {"depth": 2},
    "architecture": {"input": [8, 8, 1]},
    "recipe": {"learning_rate": 0.1},
    "fingerprint": "0123456789abcdef",
    "family": "residual",
    "params": 1000,
    "params_total": 1040,
    "macs": 5000,
    "epochs": 2,
    "initial_epoch": 0,
    "continues": None,
}
END = {
    "status": "completed",
    "score": 0.75,
    "reason": None,
    "metrics": {"val_accuracy": 0.75},
    "seconds": 3.5,
}


@pytest.fixture
def db(tmp_path):
    database = RunDatabase.create(tmp_path / "run.db")
    yield database
    database.close()


def epoch(number, value):
    return {"epoch": number, "metrics": {"val_accuracy": value}}


def test_events_come_back_in_order_and_in_pages(db):
    seqs = [db.append("epoch", epoch(n, n / 10), "a", time=100.0 + n) for n in (1, 2, 3)]
    assert seqs == sorted(seqs)
    assert [e.data["epoch"] for e in db.get_events(limit=2)] == [1, 2]
    (third,) = db.get_events(after=seqs[1])
    assert (third.seq, third.time, third.kind, third.trial_id) == (seqs[2], 103.0, "epoch", "a")
    assert db.get_events(after=seqs[2]) == []
    assert db.get_last_seq() == seqs[2]


def test_a_trial_is_followed_from_start_to_end(db):
    db.append("trial_started", START, "a", time=10.0)
    running = db.get_trial("a")
    assert (running.status, running.number, running.score, running.ended) == (
        "running",
        1,
        None,
        None,
    )
    db.append("trial_ended", END, "a", time=14.0)
    (done,) = db.get_trials()
    assert (done.status, done.score, done.seconds, done.started, done.ended) == (
        "completed",
        0.75,
        3.5,
        10.0,
        14.0,
    )
    assert done.values == {"depth": 2}
    assert (done.params, done.params_total, done.macs) == (1000, 1040, 5000)


def test_a_trial_started_again_is_running_again(db):
    db.append("trial_started", START, "a")
    db.append("trial_ended", {**END, "status": "failed", "score": None, "reason": "nan"}, "a")
    assert db.get_trial("a").reason == "nan"
    db.append("trial_started", {**START, "initial_epoch": 1}, "a")
    again = db.get_trial("a")
    assert (again.status, again.reason, again.ended, again.initial_epoch) == (
        "running",
        None,
        None,
        1,
    )
    assert len(db.get_trials()) == 1


def test_trials_are_in_the_order_of_their_numbers(db):
    for number, name in ((3, "c"), (1, "b"), (2, "a")):
        db.append("trial_started", {**START, "number": number}, name)
    assert [t.id for t in db.get_trials()] == ["b", "a", "c"]


def test_history_keeps_the_last_of_an_epoch_done_twice(db):
    for number, value in ((1, 0.1), (2, 0.2), (2, 0.25), (3, 0.3)):
        db.append("epoch", epoch(number, value), "a")
    db.append("epoch", epoch(1, 0.9), "b")
    assert [(h["epoch"], h["val_accuracy"]) for h in db.get_history("a")] == [
        (1, 0.1),
        (2, 0.25),
        (3, 0.3),
    ]
    assert [db.is_repeated(e) for e in db.get_events()] == [False, False, True, False, False]


def test_numpy_numbers_paths_and_nan_survive(db):
    db.append("note", {"a": np.float32(0.5), "b": np.int64(3), "c": Path("x/y"), "d": math.nan})
    (event,) = db.get_events()
    assert (event.data["a"], event.data["b"], event.data["c"]) == (0.5, 3, "x/y")
    assert math.isnan(event.data["d"])


def test_what_json_cannot_hold_leaves_nothing(db):
    with pytest.raises(TypeError, match="cannot hold a set"):
        db.append("note", {"a": {1, 2}})
    assert db.get_events() == []


def test_a_transaction_is_all_or_nothing(db):
    with pytest.raises(ZeroDivisionError), db.transaction():
        db.append("trial_started", START, "a")
        db.save_oracle("{}", {"a": "{}"}, {"a": 0})
        1 / 0  # noqa: B018
    assert (db.get_events(), db.get_trials(), db.load_oracle()) == ([], [], (None, []))


def test_trials_are_read_again_after_every_event(db, tmp_path):
    with pytest.raises(ZeroDivisionError), db.transaction():
        db.append("trial_started", START, "undone")
        assert [trial.id for trial in db.get_trials()] == ["undone"]
        1 / 0  # noqa: B018
    other = RunDatabase(tmp_path / "run.db")
    other.append("trial_started", START, "a")  # with the number of the event that was undone
    assert [trial.id for trial in db.get_trials()] == ["a"]
    db.get_trials().clear()
    assert [trial.status for trial in db.get_trials()] == ["running"]
    other.append("trial_ended", END, "a")
    assert [trial.status for trial in db.get_trials()] == ["completed"]
    other.close()


def test_an_inner_transaction_joins_the_outer(db):
    with pytest.raises(ZeroDivisionError), db.transaction():
        with db.transaction():
            db.append("note", {})
        1 / 0  # noqa: B018
    assert db.get_events() == []


def test_a_failed_inner_transaction_undoes_only_itself(db):
    with db.transaction():
        db.append("kept", {})
        with pytest.raises(ValueError, match="never started"):
            db.append("trial_ended", END, "ghost")
        db.append("kept", {})
    assert [e.kind for e in db.get_events()] == ["kept", "kept"]


def test_cursor_and_mapping_are_saved_together(db):
    assert db.get_cursor("mlflow") == 0
    db.set_cursor("mlflow", 7, {"a": "run1"})
    db.open_mapping("mlflow")["b"] = "run2"
    assert db.get_cursor("mlflow") == 7
    assert dict(db.open_mapping("mlflow")) == {"a": "run1", "b": "run2"}
    assert dict(db.open_mapping("other")) == {}
    del db.open_mapping("mlflow")["a"]
    assert "a" not in db.open_mapping("mlflow")
    with pytest.raises(KeyError):
        del db.open_mapping("mlflow")["a"]


def test_the_oracle_comes_back_in_its_order(db):
    db.save_oracle("s1", {"b": "B", "a": "A"}, {"b": 0, "a": 1})
    db.save_oracle("s2", {"a": "A2"}, {"b": 0, "a": 1})
    assert db.load_oracle() == ("s2", ["B", "A2"])


def test_an_unknown_trial_is_named(db):
    with pytest.raises(RunError, match="no trial 'zzz'"):
        db.get_trial("zzz")


def test_a_newer_format_is_refused(tmp_path):
    RunDatabase.create(tmp_path / "run.db").close()
    with sqlite3.connect(tmp_path / "run.db") as connection:
        connection.execute("pragma user_version=99")
    connection.close()
    with pytest.raises(RunError, match=r"format 99, .* up to 1"):
        RunDatabase(tmp_path / "run.db")


@pytest.mark.parametrize(
    "content", [b"", b"not a database at all" * 100, b"SQLite format 3\x00junk"]
)
def test_a_file_that_is_no_run_database_is_refused(tmp_path, content):
    (tmp_path / "run.db").write_bytes(content)
    with pytest.raises(RunError, match=r"run\.db"):
        RunDatabase(tmp_path / "run.db")


def test_a_missing_file_is_not_made(tmp_path):
    with pytest.raises(RunError, match="no such"):
        RunDatabase(tmp_path / "run.db")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_database_is_not_overwritten(db, tmp_path):
    db.append("note", {})
    with pytest.raises(RunError, match="cannot create"):
        RunDatabase.create(tmp_path / "run.db")
    assert len(db.get_events()) == 1


def test_threads_write_and_read_at_once(db):
    seen: list[int] = []

    def read():
        while len(seen) < 200:
            seen.extend(e.seq for e in db.get_events(after=seen[-1] if seen else 0))
            db.set_cursor("reader", seen[-1] if seen else 0)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        with db.transaction():
            db.append("epoch", epoch(number, 0.5), "a")
    reader.join(timeout=30)
    assert seen == sorted(set(seen))
    assert len(seen) == 200


def test_a_thread_does_not_see_anothers_open_transaction(db):
    seen = []
    with db.transaction():
        db.append("note", {})
        thread = threading.Thread(target=lambda: seen.append(len(db.get_events())))
        thread.start()
        thread.join()
    assert seen == [0]


def test_a_commit_waits_for_the_disk(db):
    """What a power cut would show, and no kill can: WAL, and synchronous=FULL (2)."""
    settings = [db._rows(f"pragma {name}")[0][0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]


WRITER = """
import sys
from pathlib import Path
from cnnsearch.runs.database import RunDatabase

db, start = RunDatabase(Path(sys.argv[1])), eval(sys.argv[2])
number = db.get_last_seq()
while True:
    number += 1
    with db.transaction():
        db.append("trial_started", {**start, "number": number, "filler": "x" * 3000}, f"t{number}")
        db.save_oracle(str(number), {f"t{number}": str(number)}, {f"t{number}": number})
    print(number, flush=True)
"""


def test_kill_9_loses_no_acknowledged_event(tmp_path):
    path, rng = tmp_path / "run.db", random.Random(0)
    RunDatabase.create(path).close()
    acknowledged = 0
    for _ in range(15):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), repr(START)], stdout=subprocess.PIPE
        )
        first = writer.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        lines = [first, *writer.communicate()[0].splitlines()]
        acknowledged = max(acknowledged, *(int(line) for line in lines if line.strip()))
        database = RunDatabase(path)
        events, trials = database.get_events(limit=10**6), database.get_trials()
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        assert acknowledged <= len(events) <= acknowledged + 1
        assert [t.number for t in trials] == [e.data["number"] for e in events]
        assert all(len(e.data["filler"]) == 3000 for e in events)
        assert database.load_oracle() == (str(len(events)), [str(e.seq) for e in events])
        acknowledged = len(events)
        database.close()
    assert acknowledged > 15
