"""What a trial that runs elsewhere has written, kept in its folder here; and why it is no more."""

import os
from contextlib import suppress
from pathlib import Path

from cnnsearch.engine.executors.ray.worker import Files
from cnnsearch.training.messages import Failed
from cnnsearch.training.trial import LOG


def write_files(folder: Path, files: Files) -> None:
    """Writes checkpoints beside, synced and renamed into place, and appends to the log.

    Raises:
        OSError: the disk refuses; what was written already may be written again, but for the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.checkpoints.items():
        _replace(folder / name, content)
    if files.log:
        with (folder / LOG).open("ab") as log:
            log.write(files.log)


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def loss(error: Exception) -> Failed:
    """Returns in a line, the same for the same cause, why a worker is gone.

    Args:
        error: that Ray raised.
    """
    kind, text = type(error).__name__, str(error)
    if kind == "OutOfMemoryError":
        return Failed("out_of_memory", "killed by Ray, whose node had no memory left")
    if "node has died" in text or "node died" in text or kind == "NodeDiedError":
        return Failed("crash", "its node is gone from the cluster")
    if kind in ("ActorDiedError", "WorkerCrashedError"):
        return Failed("crash", _of_worker(text))
    if kind in ("ActorUnavailableError", "GetTimeoutError", "ObjectLostError"):
        return Failed("crash", "its node does not answer any more")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return Failed("crash", f"{kind}: {lines[-1][:300] if lines else ''}".rstrip(": "))


def _of_worker(text: str) -> str:
    """Errors while it starts end in what was raised; else nobody knows why it died."""
    if "creation task" in text:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"its Ray worker cannot start: {lines[-1][:300]}"
    return "its Ray worker died (killed, or crashed)"
