"""Who is writing a run: a file that names a process, believed only while that process lives."""

import fcntl
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from cnnsearch.errors import RunError

LONGEST = 4096


@dataclass(frozen=True)
class Owner:
    """A process; ``started`` tells it from a later one that was given the same pid."""

    pid: int
    host: str
    started: str
    since: float


@contextmanager
def hold_lock(path: Path, what: str) -> Iterator[None]:
    """Holds the lock file ``path`` for this process; one whose process is gone is taken over.

    Raises:
        RunError: If a living process holds it; one of another host counts as living.
    """
    mine = Owner(os.getpid(), socket.gethostname(), _started(os.getpid()) or "", time.time())
    with _exclusive(path) as file:
        holder = _read(file)
        if holder and _alive(holder):
            raise RunError(_refusal(path, what, holder))
        _write(file, json.dumps(asdict(mine)))
    try:
        yield
    finally:
        with _exclusive(path) as file:
            if _read(file) == mine:
                _write(file, "")


def read_owner(path: Path) -> Owner | None:
    """Returns the living process that holds the lock file, or None."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "r") as file:
            holder = _read(file)
    except (OSError, ValueError):
        return None
    return holder if holder and _alive(holder) else None


@contextmanager
def _exclusive(path: Path) -> Iterator[IO[str]]:
    # flock only guards reading and writing the file: held for the whole search it would be
    # inherited by forked trials, and outlive a killed driver.
    try:
        with path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
    except OSError as error:
        raise RunError(f"{path}: cannot be locked: {error.strerror or error}") from error


def _read(file: IO[str]) -> Owner | None:
    file.seek(0)
    try:
        owner = Owner(**json.loads(file.read(LONGEST)))
    except (ValueError, TypeError, RecursionError):  # empty, or its writer was killed: nobody's
        return None
    return owner if _is_process(owner) else None


def _is_process(owner: Owner) -> bool:
    """Whether a lock names one process: signals to 0 and negative numbers reach many."""
    numbers = type(owner.pid) is int and isinstance(owner.since, int | float)
    texts = isinstance(owner.host, str) and isinstance(owner.started, str) and owner.started != ""
    return numbers and texts and 0 < owner.pid < 2**31 and 0 <= owner.since < 2**33


def _write(file: IO[str], text: str) -> None:
    file.truncate(0)
    file.write(text)
    file.flush()
    os.fsync(file.fileno())


def _alive(owner: Owner) -> bool:
    return owner.host != socket.gethostname() or _started(owner.pid) == owner.started


def _refusal(path: Path, what: str, holder: Owner) -> str:
    here = holder.host == socket.gethostname()
    where = "" if here else f" on host {holder.host}"
    hint = "" if here else f" (if that one is gone, delete {path})"
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(holder.since))
    return f"{what} is being written by process {holder.pid}{where} since {since}{hint}"


def _started(pid: int) -> str | None:
    """Returns when a process of this machine started, None if there is none; zombies are gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return None if fields[0] in "ZX" else f"{boot} {fields[19]}"
    except OSError:
        return None if Path("/proc/self/stat").exists() else _started_by_ps(pid)


def _started_by_ps(pid: int) -> str | None:
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or None
