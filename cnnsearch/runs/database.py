"""A run's database: an append-only event log in one SQLite file; MLflow is a projection of it.

A table of trials is updated in the same transaction as the log, so that a leaderboard needs no
replay. WAL with ``synchronous=FULL``: an event whose ``append`` has returned survives a kill -9 and
a power cut; one whose ``append`` has not returned is there entirely or not at all.
"""

import sqlite3
import threading
import time as clock
import uuid
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cnnsearch.errors import DiskFullError, RunError
from cnnsearch.runs.records import (
    Event,
    TrialRecord,
    parse_object,
    read_event,
    read_trial,
    to_json,
    validate,
)
from cnnsearch.runs.schema import (
    APPLICATION,
    EVENT,
    FORMAT,
    IDENTITY,
    SCHEMA,
    TRIAL,
    check_format,
    connect,
    transaction_statements,
)

__all__ = ["Event", "RunDatabase", "TrialRecord"]


class _Epoch(BaseModel):
    metrics: dict[str, Any]


class RunDatabase:
    """The database of one run; ``create`` makes a new one.

    Every thread has a connection of its own, so a transaction belongs to the thread that opened
    it. SQLite lets one thread write at a time; the others wait.

    Raises:
        RunError: the file is missing, damaged, of a newer cnnsearch, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._lock, self._connections = threading.Lock(), list[sqlite3.Connection]()
        self._trials: tuple[int, list[TrialRecord]] = -1, []
        if not path.is_file():
            raise RunError(f"{path}: no such run database")
        try:
            with self._guard():
                check_format(self._connection, path)
        except RunError:
            self.close()
            raise

    @classmethod
    def create(cls, path: Path) -> "RunDatabase":
        """Creates an empty database."""
        try:
            path.touch(exist_ok=False)
            with connect(path) as connection:
                connection.executescript(f"begin immediate; {SCHEMA} commit;")
                connection.execute(IDENTITY, (uuid.uuid4().hex,))
                connection.execute(f"pragma application_id={APPLICATION}")
                connection.execute(f"pragma user_version={FORMAT}")
            connection.close()
        except (OSError, sqlite3.Error) as error:
            raise RunError(f"{path}: cannot create a run database: {error}") from error
        return cls(path)

    @property
    def identity(self) -> str:
        """An id unique to this run, also among earlier ones of the same name."""
        return self.open_mapping("run")["identity"]

    def close(self) -> None:
        """Closes every thread's connection; a later use opens a new one."""
        with self._lock:
            connections, self._connections = self._connections, []
            self._local = threading.local()
        for connection in connections:
            connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits everything written inside the block, or nothing.

        Transactions nest: an exception rolls back its own one; the outer one may catch it.
        """
        depth = getattr(self._local, "depth", 0)
        begin, commit, rollback = transaction_statements(depth)
        with self._guard():
            connection = self._connection
            connection.execute(begin)
            self._local.depth = depth + 1
            try:
                yield
                connection.execute(commit)
            except BaseException:
                if connection.in_transaction:  # a full disk makes SQLite roll back by itself
                    for statement in rollback:
                        connection.execute(statement)
                raise
            finally:
                self._local.depth = depth

    def append(
        self,
        kind: str,
        data: Mapping[str, Any],
        trial_id: str | None = None,
        time: float | None = None,
    ) -> int:
        """Appends an event, updates the table of trials, and returns the event's ``seq``."""
        moment = clock.time() if time is None else time
        text = to_json(data)
        self._trials = -1, []  # frees the memory of thousands
        with self.transaction():
            cursor = self._execute(
                "insert into event (time, kind, trial_id, epoch, data) values (?, ?, ?, ?, ?)",
                (moment, kind, trial_id, data.get("epoch") if kind == "epoch" else None, text),
            )
            if kind == "trial_started":
                self._start(trial_id, data, moment, text)
            elif kind == "trial_ended":
                self._end(trial_id, data, moment, text)
        return int(cursor.lastrowid or 0)

    def get_events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """Returns up to ``limit`` events after the one numbered ``after``, in order."""
        rows = self._rows(f"{EVENT} where seq > ? order by seq limit ?", (after, limit))
        return [read_event(row, str(self.path)) for row in rows]

    def get_last_event(self, kind: str) -> Event | None:
        """Returns the latest event whose kind starts with ``kind``, such as ``run_``."""
        query = f"{EVENT} where substr(kind, 1, ?) = ? order by seq desc limit 1"
        rows = self._rows(query, (len(kind), kind))
        return read_event(rows[0], str(self.path)) if rows else None

    def get_events_of(self, kind: str) -> list[Event]:
        """Returns all events of exactly one kind, in order."""
        rows = self._rows(f"{EVENT} where kind = ? order by seq", (kind,))
        return [read_event(row, str(self.path)) for row in rows]

    def get_last_seq(self) -> int:
        """Returns the ``seq`` of the latest event, 0 if there is none."""
        return int(self._rows("select coalesce(max(seq), 0) from event")[0][0])

    def is_repeated(self, done: Event) -> bool:
        """Returns whether an earlier ``epoch`` event has the same epoch: resumed trials repeat."""
        query = "select 1 from event where trial_id=? and kind='epoch' and epoch=? and seq<?"
        return bool(self._rows(query, (done.trial_id, done.data["epoch"], done.seq)))

    def get_trials(self) -> list[TrialRecord]:
        """Returns all trials, ordered by number; they are read again once an event was appended."""
        seq, (known, trials) = self.get_last_seq(), self._trials
        if seq != known:
            found = self._rows(f"{TRIAL} order by number")
            trials = [read_trial(row, str(self.path)) for row in found]
            if not getattr(self._local, "depth", 0):  # what is not committed may be rolled back
                self._trials = seq, trials
        return list(trials)

    def get_trial(self, trial_id: str) -> TrialRecord:
        """Returns one trial; raises RunError if there is none of this id."""
        rows = self._rows(f"{TRIAL} where id = ?", (trial_id,))
        if not rows:
            raise RunError(f"{self.path.parent.name}: no trial {trial_id!r} in this run")
        return read_trial(rows[0], str(self.path))

    def get_history(self, trial_id: str) -> list[dict[str, Any]]:
        """Returns a trial's metrics by epoch, each with its ``epoch``; the last repeat counts."""
        rows = self._rows(
            "select epoch, data from event where trial_id = ? and kind = 'epoch' order by seq",
            (trial_id,),
        )
        where = f"{self.path}: trial {trial_id}"
        epochs = {}
        for epoch, text in rows:
            done = validate(_Epoch.model_validate, parse_object(text, where), where)
            epochs[epoch] = {"epoch": epoch, **done.metrics}
        return [epochs[epoch] for epoch in sorted(epochs)]

    def get_cursor(self, name: str) -> int:
        """Returns the ``seq`` of the last event in the projection ``name``, 0 at first."""
        rows = self._rows("select seq from projection where name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    def set_cursor(self, name: str, seq: int, extra: Mapping[str, str] | None = None) -> None:
        """Sets a projection's cursor and updates its mapping with ``extra``, atomically."""
        with self.transaction():
            self._execute("insert or replace into projection values (?, ?)", (name, seq))
            self.open_mapping(name).update(extra or {})

    def open_mapping(self, name: str) -> MutableMapping[str, str]:
        """Returns a persistent dictionary of strings, such as each trial's MLflow run."""
        return _Mapping(self, name)

    def load_oracle(self) -> tuple[str | None, list[str]]:
        """Returns the oracle's state (None at first) and its trials' states in order."""
        state = self._rows("select state from oracle")
        trials = self._rows("select state from oracle_trial order by position")
        return (state[0][0] if state else None), [row[0] for row in trials]

    def save_oracle(self, state: str, trials: Mapping[str, str], order: Mapping[str, int]) -> None:
        """Saves the oracle and its changed trials (``order``: position by id), atomically."""
        with self.transaction():
            self._execute("insert or replace into oracle values (0, ?)", (state,))
            for trial_id, text in trials.items():
                row = (trial_id, order[trial_id], text)
                self._execute("insert or replace into oracle_trial values (?, ?, ?)", row)

    def _start(self, trial_id: str | None, data: Mapping[str, Any], time: float, text: str) -> None:
        self._execute(
            "insert into trial (id, number, status, start, started) values (?, ?, 'running', ?, ?)"
            " on conflict (id) do update set status = 'running', start = excluded.start,"
            " outcome = null, ended = null",
            (trial_id, data["number"], text, time),
        )

    def _end(self, trial_id: str | None, data: Mapping[str, Any], time: float, text: str) -> None:
        cursor = self._execute(
            "update trial set status = ?, outcome = ?, ended = ? where id = ?",
            (data["status"], text, time, trial_id),
        )
        if cursor.rowcount != 1:
            raise ValueError(f"trial {trial_id!r} ended but never started")

    @property
    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self.path)
            with self._lock:
                self._connections.append(connection)
        return connection

    def _execute(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._guard():
            return self._execute(query, values).fetchall()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            raise RunError(f"{self.path}: is damaged, it contains bytes instead of text") from error
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            raise (DiskFullError if full else RunError)(f"{self.path}: {error}") from error


class _Mapping(MutableMapping[str, str]):
    def __init__(self, db: RunDatabase, name: str) -> None:
        self._db, self._name = db, name

    def __getitem__(self, key: str) -> str:
        query = "select value from mapping where name = ? and key = ?"
        rows = self._db._rows(query, (self._name, key))
        if not rows:
            raise KeyError(key)
        return str(rows[0][0])

    def __setitem__(self, key: str, value: str) -> None:
        with self._db.transaction():
            row = (self._name, key, value)
            self._db._execute("insert or replace into mapping values (?, ?, ?)", row)

    def __delitem__(self, key: str) -> None:
        with self._db.transaction():
            query = "delete from mapping where name = ? and key = ?"
            if self._db._execute(query, (self._name, key)).rowcount != 1:
                raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        query = "select key from mapping where name = ? order by key"
        return iter([str(row[0]) for row in self._db._rows(query, (self._name,))])

    def __len__(self) -> int:
        query = "select count(*) from mapping where name = ?"
        return int(self._db._rows(query, (self._name,))[0][0])
