"""Executors run trials: in this process, in processes of this machine, or on a Ray cluster.

Enters: a ``TrialTask``. Leaves: its events, up to ``TrialEnd``. The driver submits tasks while
there are free slots and polls for events; it sees no difference between executors.
"""

from collections.abc import Sequence
from typing import Protocol

from cnnsearch.engine.executors.in_process import InProcessExecutor
from cnnsearch.engine.executors.processes import ProcessExecutor
from cnnsearch.engine.options import StartMethod
from cnnsearch.training.messages import (
    CandidateFailure,
    Completed,
    EpochEnd,
    Event,
    Failed,
    FailureKind,
    Fault,
    Measurement,
    Outcome,
    TrialEnd,
    TrialTask,
    Waiting,
)

__all__ = [
    "CandidateFailure",
    "Completed",
    "EpochEnd",
    "Event",
    "Executor",
    "Failed",
    "FailureKind",
    "Fault",
    "InProcessExecutor",
    "Measurement",
    "Outcome",
    "ProcessExecutor",
    "StartMethod",
    "TrialEnd",
    "TrialTask",
    "Waiting",
    "create_executor",
]


class Executor(Protocol):
    """Runs trials."""

    def warm(self) -> None:
        """Prepares in the background, so that the first trial starts sooner; optional."""
        ...

    @property
    def free(self) -> int:
        """The number of tasks that may be submitted now."""
        ...

    def submit(self, task: TrialTask) -> None:
        """Starts a trial.

        Raises:
            RuntimeError: no slot is free.
        """
        ...

    def poll(self, timeout: float) -> list[Event]:
        """Returns new events, those of a trial in order; waits for one.

        Args:
            timeout: seconds to wait at most; an executor without processes trains an epoch,
                however long that takes.
        """
        ...

    def cancel(self, trial_id: str) -> None:
        """Ends a trial at once, without further events; its checkpoint is kept."""
        ...

    def close(self) -> None:
        """Ends every trial."""
        ...


def create_executor(
    workers: int,
    *,
    timeout: float | None = None,
    start_method: StartMethod = "auto",
    gpus: Sequence[str] = (),
) -> Executor:
    """Returns an executor of processes; with 0 workers, one in this process.

    Args:
        workers: trials in parallel.
        timeout: seconds after which a trial is killed; None: never.
        start_method: ``auto`` forks from a server where the system can, otherwise spawns.
        gpus: to use, one per trial; empty: every trial sees all.
    """
    if workers == 0:
        return InProcessExecutor(timeout)
    return ProcessExecutor(workers, timeout=timeout, start_method=start_method, gpus=gpus)
