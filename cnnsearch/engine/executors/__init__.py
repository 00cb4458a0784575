"""Where trials run: one small interface, and what passes over it.

The driver submits tasks while there are free slots and polls for events; it sees no difference
between executors.
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
        """Gets ready in the background, so that the first trial starts sooner; may be left out."""
        ...

    @property
    def free(self) -> int:
        """How many tasks may be submitted now."""
        ...

    def submit(self, task: TrialTask) -> None:
        """Starts a trial.

        Raises:
            RuntimeError: no slot is free.
        """
        ...

    def poll(self, timeout: float) -> list[Event]:
        """Returns what has happened, each trial's events in order; waits for something to happen.

        Args:
            timeout: seconds to wait at most; without processes of its own, an executor trains an
                epoch however long that takes.
        """
        ...

    def cancel(self, trial_id: str) -> None:
        """Ends a trial at once; nothing more is heard of it, what its checkpoint has is kept."""
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
    """Returns processes for ``workers`` > 0, and for 0 an executor in this very process.

    ``ray.executor.RayExecutor`` is imported by those who need it: Ray is an optional dependency.

    Args:
        workers: trials side by side.
        timeout: seconds after which a trial's process is killed; None: never.
        start_method: ``auto`` forks from a server where the system can, otherwise spawns.
        gpus: numbers of those to use, for each trial one; empty: every trial sees all.
    """
    if workers == 0:
        return InProcessExecutor()
    return ProcessExecutor(workers, timeout=timeout, start_method=start_method, gpus=gpus)
