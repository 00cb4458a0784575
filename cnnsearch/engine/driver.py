"""The loop of a search: oracle -> executor -> journal, tracking, display.

The driver alone touches the oracle and writes the run's database; a trial's process sends it what
happens. What an event changes (oracle, journal) is one transaction.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

from cnnsearch.engine.disk_quota import DiskQuota
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.executors import (
    Completed,
    EpochEnd,
    Event,
    Executor,
    Failed,
    TrialEnd,
    TrialTask,
)
from cnnsearch.engine.retries import RETRIED, Retries
from cnnsearch.engine.trial_plan import TrialPlan
from cnnsearch.errors import RunError
from cnnsearch.oracles.protocol import DONE, WAIT, Oracle, Proposal
from cnnsearch.runs.directory import INTERRUPTED, RunDirectory
from cnnsearch.runs.mlflow import Tracker
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.messages import Waiting
from cnnsearch.training.trial import LOG

SAME_DEATHS = 3
"""After so many trials in a row that died the same way, the search itself is at fault."""

TIME_IS_UP = "time"


class Driver:
    """Runs one session of a search; the run's lock is held by the caller.

    Args:
        run: where everything is kept.
        oracle: proposes and learns.
        executor: trains.
        assignment: what is searched.
        callback: is shown what happens.
        tracker: projects the journal into MLflow.
        disk: looks after the room on the disk; None: nobody does.
    """

    def __init__(
        self,
        run: RunDirectory,
        oracle: Oracle,
        executor: Executor,
        assignment: TrialPlan,
        callback: SearchCallback,
        tracker: Tracker,
        disk: DiskQuota | None = None,
    ) -> None:
        self._run, self._oracle, self._executor = run, oracle, executor
        self._do, self._callback, self._tracker = assignment, callback, tracker
        self._disk = disk or DiskQuota(run)
        self._attempts = Retries(run.db)
        self._slots: dict[str, str] = {}
        self._trials: dict[str, TrialRecord] = {}
        self._tasks: dict[str, TrialTask] = {}
        self._known: dict[str, set[int]] = {}
        self._since: dict[str, float] = {}
        self._told = False
        self._deaths: list[str] = []
        self._stop = ""

    def search(self) -> str:
        """Trains candidates until the oracle has no more, time is up or someone interrupts.

        Returns:
            Why it ended: the oracle's reason, ``time`` or ``interrupted``.

        Raises:
            RunError: several trials in a row died of the same cause, or nothing can be written.
        """
        with self._interruptible():
            while not self._stop:
                if not self._has_room():
                    continue
                done = self._fill()
                if done and not self._slots:
                    return self._oracle.reason or "schedule"
                for event in self._executor.poll(0.1):
                    self._handle(event)
                self._callback.on_tick()
                self._look_at_the_clock()
            return self._stop

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C (or SIGTERM) ends the session in good order, the second at once."""

        def interrupt(number: int, frame: FrameType | None) -> None:
            if self._stop:
                raise KeyboardInterrupt
            self._stop = INTERRUPTED
            self._callback.on_message(
                "Stopping: what is finished is kept. Ctrl-C again ends at once."
            )

        signals = (signal.SIGINT, signal.SIGTERM)
        try:
            before = {number: signal.signal(number, interrupt) for number in signals}
        except ValueError:  # not the main thread: the caller's signals are the caller's
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _fill(self) -> bool:
        """Gives every free slot a candidate; says whether there will be no more."""
        while self._executor.free and not self._stop:
            slot = next(s for s in _slot_names() if s not in self._slots.values())
            proposal = self._oracle.propose(slot)
            if proposal is DONE:
                return True
            if proposal is WAIT or not isinstance(proposal, Proposal):
                return False
            self._slots[proposal.trial_id] = slot
            self._start(proposal)
        return False

    def _has_room(self) -> bool:
        """Whether the journal can be written; if not, says so once and lets a second pass."""
        full = self._disk.full()
        if full:
            self._tell_once(full)
            self._callback.on_tick()
            time.sleep(1.0)
            self._look_at_the_clock()
        return not full

    def _tell_once(self, why: str) -> None:
        """Says why it waits, until the next epoch shows that it goes on."""
        if not self._told:
            self._callback.on_message(why)
        self._told = True

    def _look_at_the_clock(self) -> None:
        if self._do.deadline is not None and time.monotonic() > self._do.deadline:
            self._stop = self._stop or TIME_IS_UP

    def _start(self, proposal: Proposal) -> None:
        trial_id, candidate = proposal.trial_id, self._do.candidate(proposal)
        self._run.db.append("trial_started", self._do.record(proposal, candidate), trial_id)
        trial = self._trials[trial_id] = self._run.db.get_trial(trial_id)
        self._known[trial_id] = {each["epoch"] for each in self._run.db.get_history(trial_id)}
        self._since[trial_id] = time.monotonic()
        task = self._do.task(proposal, candidate, self._attempts.of(trial_id), self._run)
        self._tasks[trial_id] = task
        self._executor.submit(task)
        self._tracker.notify()
        self._callback.on_trial_begin(trial)

    def _handle(self, event: Event) -> None:
        trial = self._trials[event.trial_id]
        if isinstance(event, Waiting):
            self._tell_once(event.reason)
            return
        if isinstance(event, EpochEnd):
            self._epoch(trial, event)
        else:
            self._end(trial, event)
        self._tracker.notify()

    def _epoch(self, trial: TrialRecord, event: EpochEnd) -> None:
        """Journals an epoch, unless it is told again and was heard the first time."""
        self._told = False
        new = event.epoch not in self._known[trial.id]
        if new or not event.replayed:
            data = {"epoch": event.epoch, "metrics": event.metrics}
            self._run.db.append("epoch", data, trial.id)
        if new:
            self._known[trial.id].add(event.epoch)
            self._attempts.progressed(trial.id)
        self._callback.on_epoch_end(trial, event.epoch, dict(event.metrics))

    def _end(self, trial: TrialRecord, event: TrialEnd) -> None:
        outcome = event.outcome
        if isinstance(outcome, Completed):
            self._completed(trial, outcome)
        elif isinstance(outcome, Failed):
            if self._tried_again(trial, outcome):
                return
            self._failed(trial, outcome)
        else:
            raise RunError(f"run {self._run.name!r}, trial {trial.id}: {outcome.message}")
        del self._slots[trial.id], self._tasks[trial.id]
        self._callback.on_trial_end(self._run.db.get_trial(trial.id))
        self._disk.tidy()
        self._check_deaths(trial)

    def _tried_again(self, trial: TrialRecord, failed: Failed) -> bool:
        """Runs a trial that died once more, from its last epoch, if that has not been in vain."""
        if self._stop:  # perhaps of the same signal: the next session goes on with it
            return failed.kind == "crash"
        task = self._tasks[trial.id]
        attempt = self._attempts.next(task, failed, _batch(trial, task))
        if attempt is None:
            return False
        why = f"{failed.kind}: {failed.reason}"
        self._run.db.append(RETRIED, {**attempt.to_data(), "reason": why}, trial.id)
        again = replace(task, accumulate=attempt.accumulate, attempt=attempt.number)
        self._tasks[trial.id] = again
        self._executor.submit(again)
        self._callback.on_message(f"Trial {trial.id}: {why}. {attempt.words}")
        return True

    def _completed(self, trial: TrialRecord, outcome: Completed) -> None:
        result = outcome.measurement
        score = result.score(self._do.objective)
        ended = {
            "status": "completed",
            "score": score,
            "reason": None,
            "metrics": result.metrics,
            "seconds": result.seconds,
        }
        with self._run.db.transaction():
            self._oracle.complete(trial.id, score)
            self._run.db.append("trial_ended", ended, trial.id)
        self._deaths.clear()

    def _failed(self, trial: TrialRecord, outcome: Failed) -> None:
        ended: dict[str, Any] = {
            "status": "failed",
            "score": None,
            "reason": f"{outcome.kind}: {outcome.reason}",
            "metrics": {},
            "seconds": time.monotonic() - self._since[trial.id],
        }
        with self._run.db.transaction():
            self._oracle.fail(trial.id, outcome.kind)
            self._run.db.append("trial_ended", ended, trial.id)
        if outcome.kind == "crash":
            self._deaths.append(outcome.reason)
        else:
            self._deaths.clear()

    def _check_deaths(self, trial: TrialRecord) -> None:
        last = self._deaths[-SAME_DEATHS:]
        if len(last) == SAME_DEATHS and len(set(last)) == 1:
            cause = f"{SAME_DEATHS} candidates in a row died of the same cause: {last[0]}"
            log = self._run.trial_dir(trial.id) / LOG
            more = f" (more in {log})" if log.is_file() else ""
            raise RunError(f"run {self._run.name!r}: {cause}{more}")


def _batch(trial: TrialRecord, task: TrialTask) -> int:
    """Returns the examples of a training step."""
    return min(int(trial.recipe["batch_size"]), task.dataset.train.count)


def _slot_names() -> Iterator[str]:
    number = 0
    while True:
        yield f"worker-{number}"
        number += 1
