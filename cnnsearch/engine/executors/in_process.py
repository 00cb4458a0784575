"""Trials in the main process, for debugging and the smallest searches."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cnnsearch.training.messages import (
    CandidateFailure,
    Event,
    Failed,
    TrialEnd,
    TrialTask,
    Waiting,
)
from cnnsearch.utils.hardware import count_cores, limit_threads


class InProcessExecutor:
    """Trains one trial in this process, an epoch per poll; a crash ends the search.

    Args:
        timeout: seconds after which a trial is stopped, between two steps (in another than the main
            thread: two epochs); None: never.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self._timeout, self._deadline = timeout, 0.0
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
            limit_threads(count_cores(), task.recipe.batch_splits)
            self._prepared = True
        from cnnsearch.training.trial import (
            run_trial,  # Keras, which a driver of processes may do without
        )

        self._running = (task.trial_id, run_trial(task))
        self._restart_clock()

    def _restart_clock(self) -> None:
        self._deadline = time.monotonic() + (self._timeout or 0.0)

    def poll(self, timeout: float) -> list[Event]:
        """Trains until the next event and returns it, whatever the timeout."""
        if self._running is None:
            return []
        trial_id, events = self._running
        try:
            with self._limit_time():
                event = next(events)
        except CandidateFailure as late:  # after the last line of the trial
            event = TrialEnd(trial_id, Failed(late.kind, late.reason))
        if isinstance(event, Waiting):  # for disk space, which does not count
            self._restart_clock()
        if isinstance(event, TrialEnd):
            self._running = None
        return [event]

    @contextmanager
    def _limit_time(self) -> Iterator[None]:
        """Raises in the trial when its time is up: Python handles signals between two steps."""
        if self._timeout is None:
            yield
            return

        def stop(number: int = 0, frame: FrameType | None = None) -> None:
            raise CandidateFailure("timeout", f"stopped after {self._timeout:g} seconds")

        left = self._deadline - time.monotonic()
        if left <= 0:
            stop()
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, left)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def cancel(self, trial_id: str) -> None:
        """Drops the trial."""
        if self._running and self._running[0] == trial_id:
            self._running = None

    def close(self) -> None:
        """Drops the running trial."""
        self._running = None
