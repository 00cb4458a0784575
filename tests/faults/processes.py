"""The processes of a search, and their ends."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from cnnsearch.training.trial import LOG


def family(pid: int) -> list[psutil.Process]:
    """All processes that a process has started, and theirs."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def servers_of(pid: int) -> list[psutil.Process]:
    """The fork server of a driver."""
    return [p for p in family(pid) if "forkserver" in _line(p) and _parent(p) == pid]


def workers_of(pid: int) -> list[psutil.Process]:
    """The workers of a driver's Ray cluster."""
    return [p for p in family(pid) if _line(p).startswith("ray::Worker")]


def trials_of(pid: int) -> list[psutil.Process]:
    """The processes that train: what they print goes into a trial's log."""
    return [p for p in family(pid) if _output(p) == LOG]


def _output(process: psutil.Process) -> str:
    try:
        return Path(os.readlink(f"/proc/{process.pid}/fd/1")).name
    except OSError:
        return ""


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _parent(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except psutil.Error:
        return -1


def leave_time(processes: list[psutil.Process], limit: float = 60.0) -> float:
    """Returns the seconds until none of these processes is there any more; zombies are gone.

    Raises:
        AssertionError: some are still there after ``limit`` seconds.
    """
    since = time.monotonic()
    while left := [p for p in processes if _alive(p)]:
        if time.monotonic() - since > limit:
            raise AssertionError(f"orphans after {limit} s: {[_line(p) for p in left]}")
        time.sleep(0.02)
    return time.monotonic() - since


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def reaped(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """Leaves no process of the group behind, whatever happens inside."""
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
