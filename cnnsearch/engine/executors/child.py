"""The main function of a trial's process."""

import os
import pickle
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from cnnsearch.training.messages import Event, TrialEnd, TrialTask
from cnnsearch.training.trial import LOG, classify_error, run_trial


@dataclass(frozen=True)
class ChildTask:
    """What a trial's process receives.

    Attributes:
        trial_id: of the task.
        folder: for the log.
        task: pickled; it is unpickled where an error can be reported as an event.
        threads: for the backend.
        gpu: the only one to use; None: all.
    """

    trial_id: str
    folder: Path
    task: bytes
    threads: int
    gpu: str | None = None


def main(pipe: Connection, orders: ChildTask) -> None:
    """Runs a trial and sends its events; never returns.

    Args:
        pipe: to the driver; if it breaks, the driver is gone and the process exits.
        orders: what to run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _log_to(orders.folder / LOG)
    threading.Thread(target=_exit_with_driver, args=(pipe,), daemon=True).start()
    try:
        _send_all(pipe, orders)
    except BrokenPipeError:
        os._exit(1)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # the frameworks' teardown takes long and may hang


def _send_all(pipe: Connection, orders: ChildTask) -> None:
    try:
        task: TrialTask = pickle.loads(orders.task)
        _prepare(orders, task)
    except Exception as error:
        end: Event = TrialEnd(orders.trial_id, classify_error(error, orders.folder))
        pipe.send(end)
        return
    for event in run_trial(task):
        pipe.send(event)


def _prepare(orders: ChildTask, task: TrialTask) -> None:
    from cnnsearch.utils.hardware import limit_threads, use_gpu

    if orders.gpu is not None:
        use_gpu(orders.gpu)
    limit_threads(orders.threads, task.recipe.batch_splits)


def _log_to(path: Path) -> None:
    """Redirects everything this process prints, C++ code included, to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _exit_with_driver(pipe: Connection) -> None:
    """Exits when the driver does: it never sends anything, so reading ends with it."""
    try:
        pipe.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)
