"""The tables of a run's database, and its connections."""

import re
import sqlite3
from pathlib import Path

from cnnsearch.errors import RunError

FORMAT = 1  # of the schema below; older formats are migrated, newer ones refused
APPLICATION = 0x636E6E73  # "cnns": marks our files among all SQLite files
LONGEST = 256 << 20  # bytes of one value

SCHEMA = """
create table event (seq integer primary key autoincrement, time real not null, kind text not null,
                    trial_id text, epoch integer, data text not null);
create index event_of_trial on event (trial_id, kind, epoch);
create table trial (id text primary key, number integer not null, status text not null,
                    start text not null, outcome text, started real not null, ended real);
create table projection (name text primary key, seq integer not null);
create table mapping (name text, key text, value text not null, primary key (name, key));
create table oracle (id integer primary key check (id = 0), state text not null);
create table oracle_trial (id text primary key, position integer not null, state text not null);
"""

IDENTITY = "insert into mapping values ('run', 'identity', ?)"
EVENT = "select seq, time, kind, trial_id, data from event"
TRIAL = "select id, number, status, start, outcome, started, ended from trial"


def connect(path: Path) -> sqlite3.Connection:
    """Opens a database; what is committed survives a kill and a power cut."""
    connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    connection.execute("pragma trusted_schema=off")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    return connection


def check_format(connection: sqlite3.Connection, path: Path) -> None:
    """Raises RunError unless the file is a run database of a format that this version reads."""
    (application,) = connection.execute("pragma application_id").fetchone()
    (version,) = connection.execute("pragma user_version").fetchone()
    if application != APPLICATION or version < 1:
        raise RunError(f"{path}: not a run database of cnnsearch")
    _check_tables(connection, path)
    if version > FORMAT:
        raise RunError(
            f"{path}: has format {version}, but this cnnsearch reads up to {FORMAT};"
            " install the newer cnnsearch that wrote it"
        )


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Raises RunError unless the tables are exactly ours: reading could run views and triggers."""
    query = "select sql from sqlite_schema where sql is not null and name not like 'sqlite_%'"
    found = {_normalize(sql) for (sql,) in connection.execute(query) if isinstance(sql, str)}
    if found != {_normalize(sql) for sql in SCHEMA.split(";") if sql.strip()}:
        raise RunError(f"{path}: is damaged or not a run database of cnnsearch, by its tables")


def _normalize(sql: str) -> str:
    return re.sub(r"\s+", " ", sql).strip().lower()


def transaction_statements(depth: int) -> tuple[str, str, tuple[str, ...]]:
    """Returns the statements that begin, commit and roll back at nesting ``depth``."""
    if depth == 0:
        return "begin immediate", "commit", ("rollback",)
    point = f"inner{depth}"
    return f"savepoint {point}", f"release {point}", (f"rollback to {point}", f"release {point}")
