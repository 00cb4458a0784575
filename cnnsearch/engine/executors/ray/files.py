"""What a trial that runs elsewhere has written, kept in its folder here; and why it is no more."""

from pathlib import Path

from cnnsearch.engine.executors.ray.worker import Files
from cnnsearch.training.messages import Failed
from cnnsearch.training.trial import LOG
from cnnsearch.utils.atomic_files import write_bytes


def write_files(folder: Path, files: Files) -> None:
    """Writes a trial's checkpoints and appends to its log.

    Raises:
        OSError: the disk refuses; what was written already may be written again, but for the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.checkpoints.items():
        write_bytes(folder / name, content)
    if files.log:
        with (folder / LOG).open("ab") as log:
            log.write(files.log)


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
