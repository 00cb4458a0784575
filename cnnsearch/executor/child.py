"""What runs in a trial's own process."""

import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from cnnsearch.outcomes import Fault, TrialEnd, TrialTask

LOG = "trial.log"


def main(pipe: Connection, trial_id: str, folder: str, task: bytes, threads: int) -> None:
    """Runs a trial and sends its events; never returns.

    Args:
        pipe: to the driver; when it breaks, the driver is gone and so is the trial.
        trial_id: the trial's.
        folder: for the log.
        task: the task, pickled; unpickled here, where an error can be told.
        threads: for the backend.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _log_to(Path(folder) / LOG)
    threading.Thread(target=_leave_with_driver, args=(pipe,), daemon=True).start()
    try:
        _send_all(pipe, pickle.loads(task), threads)
    except BrokenPipeError:
        os._exit(1)
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        pipe.send(TrialEnd(trial_id, Fault(message, traceback.format_exc())))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # nothing to tidy up; the frameworks' own teardown takes long and may hang


def _send_all(pipe: Connection, task: TrialTask, threads: int) -> None:
    from cnnsearch.resources import limit_threads
    from cnnsearch.trial import run_trial

    limit_threads(threads)
    for event in run_trial(task):
        pipe.send(event)


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
