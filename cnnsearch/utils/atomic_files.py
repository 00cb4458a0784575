"""Files and folders that appear on disk complete or not at all, also after a kill or a power cut.

Everything is written under a temporary name in the same folder, because only a rename within one
file system is atomic. The order is what makes it durable:

1. fsync the content: otherwise a power cut after the rename can leave an empty file under the
   final name, because file systems may write a rename to disk before the data.
2. rename: a reader sees the old content or the new, never a mixture.
3. fsync the folder: otherwise the rename itself can be lost.
"""

import errno
import fcntl
import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_NEW = ".new"
_OLD = 3600.0  # seconds
TEMPORARY = ".tmp"
"""How the names of half-written files end."""


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Yields a binary file that replaces ``path`` when the block ends without an exception.

    Missing parent folders are made.

    Raises:
        OSError: the file cannot be written; ``path`` is unchanged.
    """
    _make_folder(path.parent)
    _remove_old_temporaries(path)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            yield file
        replace_file(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> Path:
    """Replaces ``path`` by a file of this content, atomically; returns ``path``.

    Raises:
        OSError: the file cannot be written; ``path`` is unchanged.
    """
    with atomic_file(path) as file:
        file.write(content)
    return path


def write_text(path: Path, text: str) -> Path:
    """Replaces ``path`` by a UTF-8 text file, as :func:`write_bytes` does."""
    return write_bytes(path, text.encode())


def replace_file(finished: Path, path: Path) -> None:
    """Renames a finished file of the same file system to ``path``, durably."""
    _sync(finished)
    finished.replace(path)
    _sync(path.parent)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yields an empty folder that becomes ``path`` when the block ends without an exception.

    Args:
        path: the folder to make.
        replace: also if ``path`` exists, which is removed then.

    Raises:
        OSError: the folder cannot be made or renamed.
    """
    with temporary_folder(path.parent, path.name) as folder:
        yield folder
        publish_folder(folder, path, replace=replace)


@contextmanager
def temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yields an empty hidden folder in ``parent``; it is removed unless it has been renamed.

    The folder is locked (flock) while its process lives. Those that killed processes have left are
    recognised by their lock being free, and removed here.
    """
    _make_folder(parent)
    remove_leftovers(parent / name)
    folder = _hidden_name(parent / name)
    folder.mkdir()
    try:
        with _hold(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish_folder(folder: Path, path: Path, *, replace: bool = False) -> None:
    """Renames a finished folder to ``path``, durably; ``replace`` removes what is there."""
    for each in folder.rglob("*"):
        if not each.is_symlink():
            _sync(each)
    _sync(folder)
    if replace and path.exists():
        remove_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(path)
    _sync(path.parent)


def remove_folder(path: Path) -> None:
    """Removes a folder so that nobody sees it half-removed: it is renamed first.

    Raises:
        OSError: it cannot be renamed.
    """
    hidden = _hidden_name(path)
    path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def remove_leftovers(path: Path) -> None:
    """Removes the half-made (or half-removed) versions of ``path`` that killed processes left."""
    for folder in path.parent.glob(f".{glob.escape(path.name)}-????????{_NEW}"):
        with suppress(OSError), _hold(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_old_temporaries(path: Path) -> None:
    """Removes what killed processes left of ``path``: nobody writes one file for an hour."""
    for each in path.parent.glob(f".{glob.escape(path.name)}-????????{TEMPORARY}"):
        with suppress(OSError):
            if time.time() - each.stat().st_mtime > _OLD:
                each.unlink()


def _hidden_name(path: Path) -> Path:
    return path.with_name(f".{path.name}-{secrets.token_hex(4)}{_NEW}")


def _make_folder(path: Path) -> None:
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in missing:  # a new folder's own name is an entry of its parent
        _sync(each.parent)


def _sync(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync folders
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """Locks a folder for as long as this process lives.

    Raises:
        BlockingIOError: another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
