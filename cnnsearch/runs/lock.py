"""The lock file of a run: names the process that writes it, valid while that process lives."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from cnnsearch.errors import RunError

LONGEST = 4096


class Owner(BaseModel):
    """A process; ``started`` distinguishes it from a later one with the same pid."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    # Only the pid of one process: kill(2) takes 0 and negative numbers for groups of them.
    pid: Annotated[StrictInt, Field(gt=0, lt=2**31)]
    host: StrictStr
    started: Annotated[StrictStr, Field(min_length=1)]
    since: Annotated[float, Field(ge=0, lt=2**33)]


@contextmanager
def hold_lock(path: Path, what: str) -> Iterator[None]:
    """Holds the lock file ``path`` for this process; takes over that of a process that is gone.

    Raises:
        RunError: a living process holds it; one on another host counts as living.
    """
    pid, host = os.getpid(), socket.gethostname()
    mine = Owner(pid=pid, host=host, started=_read_start(pid) or "unknown", since=time.time())
    with _exclusive(path) as file:
        holder = _read(file)
        if holder and _is_alive(holder):
            raise RunError(_refusal(path, what, holder))
        _write(file, mine.model_dump_json())
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
    return holder if holder and _is_alive(holder) else None


@contextmanager
def _exclusive(path: Path) -> Iterator[IO[str]]:
    # flock only guards reading and writing the file. Held during the whole search, it would be
    # inherited by forked trials and outlive a killed driver.
    try:
        with path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
    except OSError as error:
        raise RunError(f"{path}: cannot be locked: {error.strerror or error}") from error


def _read(file: IO[str]) -> Owner | None:
    file.seek(0)
    try:
        return Owner.model_validate_json(file.read(LONGEST))
    except ValidationError:  # empty, or its writer was killed while writing
        return None


def _write(file: IO[str], text: str) -> None:
    # In place, not renamed: another process may be waiting for the flock of this very file.
    file.truncate(0)
    file.write(text)
    file.flush()
    os.fsync(file.fileno())


def _is_alive(owner: Owner) -> bool:
    return owner.host != socket.gethostname() or _read_start(owner.pid) == owner.started


def _refusal(path: Path, what: str, holder: Owner) -> str:
    here = holder.host == socket.gethostname()
    where = "" if here else f" on host {holder.host}"
    hint = "" if here else f" (if that one is gone, delete {path})"
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(holder.since))
    return f"{what} is being written by process {holder.pid}{where} since {since}{hint}"


def _read_start(pid: int) -> str | None:
    """Returns when a process of this machine started, None if there is none; zombies are gone."""
    # Not psutil's create_time on Linux: it moves with every correction of the system clock (7.2),
    # so that a living owner would be taken for dead. Ticks since boot never change.
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return None if fields[0] in "ZX" else f"{boot} {fields[19]}"
    except OSError:
        return None if Path("/proc/self/stat").exists() else _read_start_by_psutil(pid)


def _read_start_by_psutil(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return None if zombie else str(process.create_time())
    except psutil.Error:
        return None
