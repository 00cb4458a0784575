"""Temporary folders; one that a killed process leaves behind is removed by the next."""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "cnnsearch-ray-"
_LOCK = "lock"


class Scratch:
    """A temporary folder, locked by this process alone or together with others.

    Args:
        name: equal for the processes that share the folder; None: a folder of its own.
        root: parent folder; None: the system's for temporary files.
    """

    def __init__(self, name: str | None = None, root: Path | None = None) -> None:
        parent = root or Path(tempfile.gettempdir())
        _remove_abandoned(parent)
        self.path = parent / f"{PREFIX}{name or secrets.token_hex(4)}"
        self._lock = self._hold()

    def _hold(self) -> int:
        """Creates and locks the folder; again, if another process removed it in between."""
        while True:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(lock, fcntl.LOCK_SH)
                if (self.path / _LOCK).exists():
                    return lock
                os.close(lock)

    @contextmanager
    def take_turn(self) -> Iterator[None]:
        """Excludes the other holders of the folder meanwhile."""
        with (self.path / "turn").open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield

    def leave(self) -> None:
        """Removes the folder, unless others hold it."""
        if _lock_alone(self._lock):
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _lock_alone(lock: int) -> bool:
    """Locks exclusively; returns whether that was possible."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_abandoned(parent: Path) -> None:
    """Removes folders whose holders are gone."""
    for left in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if left.stat().st_uid != os.getuid():
                continue
            lock = os.open(left / _LOCK, os.O_RDWR)
            try:
                if _lock_alone(lock):
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)
