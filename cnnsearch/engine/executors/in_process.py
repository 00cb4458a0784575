"""Trials in the main process, for debugging and the smallest searches."""

from collections.abc import Iterator

from cnnsearch.training.messages import Event, TrialEnd, TrialTask
from cnnsearch.utils.hardware import count_cores, limit_threads


class InProcessExecutor:
    """Trains one trial in this process, an epoch per poll; a crash ends the search."""

    def __init__(self) -> None:
        self._running: tuple[str, Iterator[Event]] | None = None
        self._prepared = False

    def warm(self) -> None:
        """Does nothing."""

    @property
    def free(self) -> int:
        """1 if nothing runs."""
        return 0 if self._running else 1

    def submit(self, task: TrialTask) -> None:
        """Accepts a trial, which the next polls train."""
        if self._running:
            raise RuntimeError("no slot is free")
        if not self._prepared:
            limit_threads(count_cores())
            self._prepared = True
        from cnnsearch.training.trial import (
            run_trial,  # Keras, which a driver of processes may do without
        )

        self._running = (task.trial_id, run_trial(task))

    def poll(self, timeout: float) -> list[Event]:
        """Trains until the next event and returns it, whatever the timeout."""
        if self._running is None:
            return []
        event = next(self._running[1])
        if isinstance(event, TrialEnd):
            self._running = None
        return [event]

    def cancel(self, trial_id: str) -> None:
        """Drops the trial."""
        if self._running and self._running[0] == trial_id:
            self._running = None

    def close(self) -> None:
        """Drops the running trial."""
        self._running = None
