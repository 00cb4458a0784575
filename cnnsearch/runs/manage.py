"""Stops and deletes runs from another terminal than the one they were started in."""

import os
import signal
import socket
import time
from contextlib import closing
from pathlib import Path

from cnnsearch.errors import RunError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lock import Owner
from cnnsearch.utils.atomic_files import remove_folder

PAUSE = 0.1


def stop(root: Path, name: str, wait: float = 60.0) -> str | None:
    """Sends SIGTERM to the process that writes a run, and waits until it has ended.

    Finished trials are kept; those in training resume from their last epoch.

    Args:
        root: the folder that holds all runs.
        name: of the run.
        wait: seconds to wait; after that the process is left alone.

    Returns:
        The run's state afterwards; None if nobody was writing it.

    Raises:
        RunError: there is no such run, its process is on another host or another user's, or it
            has not ended in time.
    """
    with closing(RunDirectory.open(root, name)) as run:
        owner = run.owner
        if owner is None:
            return None
        _terminate(run, owner)
        until = time.monotonic() + wait
        while run.owner == owner:
            if time.monotonic() > until:
                raise RunError(
                    f"run {name!r}: process {owner.pid} has not ended after {wait:.0f} s; it was "
                    "sent SIGTERM (--wait gives it longer)"
                )
            time.sleep(PAUSE)
        return run.state


def _terminate(run: RunDirectory, owner: Owner) -> None:
    if owner.host != socket.gethostname():
        raise RunError(
            f"run {run.name!r} is being written on host {owner.host}: stop it there "
            f"(process {owner.pid})"
        )
    try:
        os.kill(owner.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise RunError(f"run {run.name!r}: process {owner.pid} belongs to another user") from None


def delete(root: Path, name: str) -> int:
    """Deletes a run's folder with its checkpoints; the copy in MLflow stays.

    Returns:
        The number of bytes freed.

    Raises:
        RunError: there is no such run, it is being written, or the folder cannot be removed.
    """
    with closing(RunDirectory.open(root, name)) as run:
        path, size = run.path, measure_size(run.path)
        with run.lock():
            pass  # raises while another process writes the run
    try:
        remove_folder(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be deleted: {error.strerror}") from None
    return size


def measure_size(path: Path) -> int:
    """Returns the bytes of all files in a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
