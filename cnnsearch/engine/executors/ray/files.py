"""Writes the files that a remote trial sends, and describes how one was lost."""

from pathlib import Path

from cnnsearch.engine.executors.ray.worker import Files
from cnnsearch.training.messages import Failed
from cnnsearch.training.trial import LOG
from cnnsearch.utils.atomic_files import write_bytes


def write_files(folder: Path, files: Files) -> None:
    """Writes a trial's checkpoints and appends to its log.

    Raises:
        OSError: the disk refuses; all may be written again, the log comes last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.checkpoints.items():
        write_bytes(folder / name, content)
    if files.log:
        with (folder / LOG).open("ab") as log:
            log.write(files.log)


def describe_loss(error: Exception) -> Failed:
    """Returns why a worker is gone, by the error that Ray raised; equal for equal causes."""
    kind, text = type(error).__name__, str(error)
    if kind == "OutOfMemoryError":
        return Failed("out_of_memory", "out-of-memory kill by Ray, the node had no memory left")
    if "node has died" in text or "node died" in text or kind == "NodeDiedError":
        return Failed("crash", "its node is gone from the cluster")
    if kind in ("ActorDiedError", "WorkerCrashedError"):
        return Failed("crash", _describe_worker_error(text))
    if kind in ("ActorUnavailableError", "GetTimeoutError", "ObjectLostError"):
        return Failed("crash", "its node does not answer any more")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return Failed("crash", f"{kind}: {lines[-1][:300] if lines else ''}".rstrip(": "))


def _describe_worker_error(text: str) -> str:
    """Returns why a worker cannot start, from the end of the error; else that it died."""
    if "creation task" in text:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"its Ray worker cannot start: {lines[-1][:300]}"
    return "its Ray worker died (killed, or crashed)"
