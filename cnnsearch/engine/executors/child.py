"""What runs in a trial's own process."""

import os
import pickle
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from cnnsearch.training.messages import Event, TrialEnd, TrialTask
from cnnsearch.training.trial import LOG, outcome_of, run_trial


@dataclass(frozen=True)
class ChildTask:
    """What a trial's process is told.

    Attributes:
        trial_id: the trial's.
        folder: for the log.
        task: the task, pickled; unpickled there, where an error can be told.
        threads: for the backend.
        gpu: the only one to use; None: whatever there is.
    """

    trial_id: str
    folder: Path
    task: bytes
    threads: int
    gpu: str | None = None


def main(pipe: Connection, orders: ChildTask) -> None:
    """Runs a trial and sends its events; never returns.

    Args:
        pipe: to the driver; when it breaks, the driver is gone and so is the trial.
        orders: what to run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _log_to(orders.folder / LOG)
    threading.Thread(target=_leave_with_driver, args=(pipe,), daemon=True).start()
    try:
        _send_all(pipe, orders)
    except BrokenPipeError:
        os._exit(1)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # nothing to tidy up; the frameworks' own teardown takes long and may hang


def _send_all(pipe: Connection, orders: ChildTask) -> None:
    try:
        task: TrialTask = pickle.loads(orders.task)
        _prepare(orders)
    except Exception as error:
        end: Event = TrialEnd(orders.trial_id, outcome_of(error, orders.folder))
        pipe.send(end)
        return
    for event in run_trial(task):
        pipe.send(event)


def _prepare(orders: ChildTask) -> None:
    from cnnsearch.utils.hardware import limit_threads, use_gpu

    if orders.gpu is not None:
        use_gpu(orders.gpu)
    limit_threads(orders.threads)


def _log_to(path: Path) -> None:
    """Sends everything this process prints, its C++ too, into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _leave_with_driver(pipe: Connection) -> None:
    """Waits for the end of the driver, which never sends anything."""
    try:
        pipe.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)
