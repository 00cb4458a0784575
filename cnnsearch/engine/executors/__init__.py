"""Executors run trials: in this process, in processes of this machine, or on a Ray cluster.

Enters: a ``TrialTask``. Leaves: its events, up to ``TrialEnd``. The driver submits tasks while
there are free slots and polls for events; it sees no difference between executors.
"""

from typing import Protocol

from cnnsearch.engine.executors.in_process import InProcessExecutor
from cnnsearch.engine.executors.processes import ProcessExecutor
from cnnsearch.training.messages import Event, TrialTask

__all__ = ["Executor", "InProcessExecutor", "ProcessExecutor"]


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
