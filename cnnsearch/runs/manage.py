"""Ends and removes runs from another terminal than the one they were started in."""

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
    """Asks the process that writes a run to end in good order, and waits until it has.

    What is finished is kept; what is being trained goes on from its last epoch when resumed.

    Args:
        root: the folder that holds all runs.
        name: of the run.
        wait: seconds until it is given up on; the process is left alone then.

    Returns:
        The run's state afterwards; None: nobody was writing it.

    Raises:
        RunError: there is no such run, its process is on another machine or another user's, or has
            not ended in time.
    """
    with closing(RunDirectory.open(root, name)) as run:
        owner = run.owner
        if owner is None:
            return None
        _signal(run, owner)
        until = time.monotonic() + wait
        while run.owner == owner:
            if time.monotonic() > until:
                raise RunError(
                    f"run {name!r}: process {owner.pid} has not ended after {wait:.0f} s; it is "
                    "still asked to (--wait gives it longer)"
                )
            time.sleep(PAUSE)
        return run.state


def _signal(run: RunDirectory, owner: Owner) -> None:
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
    """Removes a run's folder, checkpoints and all; MLflow's copy of it stays in MLflow.

    The folder is renamed first: a run is there whole, or not at all.

    Returns:
        The bytes that were freed.

    Raises:
        RunError: there is no such run, it is being written, or the folder cannot be removed.
    """
    with closing(RunDirectory.open(root, name)) as run:
        path, size = run.path, measure_size(run.path)
        with run.lock():
            pass  # refused while somebody writes it
    try:
        remove_folder(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be deleted: {error.strerror}") from None
    return size


def measure_size(path: Path) -> int:
    """Returns the bytes of all files in a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
