"""Folders for the while: whoever is killed leaves its own behind, the next one removes it."""

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
    """A folder that this process holds, alone or with others of the same name.

    Args:
        name: shared by all that are to share the folder; None: one of its own.
        root: where such folders lie; None: where the system keeps what is temporary.
    """

    def __init__(self, name: str | None = None, root: Path | None = None) -> None:
        parent = root or Path(tempfile.gettempdir())
        _sweep(parent)
        self.path = parent / f"{PREFIX}{name or secrets.token_hex(4)}"
        self._lock = self._held()

    def _held(self) -> int:
        """Makes the folder and holds it; again, if someone removed it in between."""
        while True:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(lock, fcntl.LOCK_SH)
                if (self.path / _LOCK).exists():
                    return lock
                os.close(lock)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps the others who hold the folder from this part meanwhile."""
        with (self.path / "turn").open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield

    def leave(self) -> None:
        """Removes the folder, unless others hold it."""
        if _unheld(self._lock):
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _unheld(lock: int) -> bool:
    """Whether nobody else holds this lock; if so, nobody else will."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sweep(parent: Path) -> None:
    """Removes folders whose holders are gone."""
    for left in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if left.stat().st_uid != os.getuid():
                continue
            lock = os.open(left / _LOCK, os.O_RDWR)
            try:
                if _unheld(lock):
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)
