"""A folder that is there whole or not at all: filled beside, under a hidden name, then renamed."""

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".new"


@contextmanager
def made_beside(path: Path) -> Iterator[Path]:
    """Yields an empty folder that is renamed to ``path`` if all goes well, otherwise removed.

    What a process that was killed has left half-filled is removed; that of a living one is held by
    a lock, and stays.

    Raises:
        OSError: the folder cannot be made or renamed.
    """
    sweep(path)
    folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-", suffix=SUFFIX))
    try:
        with _held(folder):
            yield folder
            folder.rename(path)
            sync(path.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(path: Path) -> None:
    """Removes what killed processes have left beside ``path``."""
    for folder in path.parent.glob(f".{glob.escape(path.name)}-????????{SUFFIX}"):
        with suppress(OSError), _held(folder):
            shutil.rmtree(folder, ignore_errors=True)


def sync(folder: Path) -> None:
    """Sees to it that a power cut does not undo what was renamed in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Holds a folder as long as this process lives.

    Raises:
        BlockingIOError: another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
