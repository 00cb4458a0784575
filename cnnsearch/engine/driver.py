"""The loop of a search.

    until the oracle has no more, the time is up, or somebody interrupts:
        give every free slot of the executor a candidate that the oracle proposes
        handle what the running trials report: epochs, results, failures

The driver alone uses the oracle and writes the run's database; a trial's process sends it events.
What an event changes in both is one transaction, so that a kill leaves neither behind the other.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from types import FrameType
from typing import Any

from cnnsearch.engine.disk_quota import DiskQuota
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.executors import Executor
from cnnsearch.engine.failures import MAX_FAILURES, FailureMonitor
from cnnsearch.engine.retries import RETRIED, Retries
from cnnsearch.engine.trial_plan import TrialPlan
from cnnsearch.errors import RunError
from cnnsearch.oracles.protocol import DONE, WAIT, Oracle, Proposal
from cnnsearch.runs.directory import INTERRUPTED, RunDirectory
from cnnsearch.runs.mlflow import Tracker
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.messages import (
    Completed,
    EpochEnd,
    Event,
    Failed,
    TrialEnd,
    TrialTask,
    Waiting,
)
from cnnsearch.training.trial import LOG

TIME_IS_UP = "time"
POLL_SECONDS = 0.1
DISK_SECONDS = 1.0


@dataclass
class RunningTrial:
    """A trial that the executor has.

    Attributes:
        record: of the database.
        task: as it was submitted last.
        slot: which the oracle knows it by.
        epochs: those in the journal.
        since: start in this session, on the monotonic clock.
    """

    record: TrialRecord
    task: TrialTask
    slot: str
    epochs: set[int]
    since: float


class Driver:
    """Runs one session of a search; the caller holds the run's lock.

    Args:
        run: folder and database of the run.
        oracle: proposes candidates and learns from their scores.
        executor: trains them.
        plan: turns proposals into training tasks.
        callback: receives what happens, to display it.
        tracker: projects the journal into MLflow.
        disk: limits the size of checkpoints; None: no limit.
        max_failures: of one kind in a row before the search stops; 0: no limit.
    """

    def __init__(
        self,
        run: RunDirectory,
        oracle: Oracle,
        executor: Executor,
        plan: TrialPlan,
        callback: SearchCallback,
        tracker: Tracker,
        disk: DiskQuota | None = None,
        max_failures: int = MAX_FAILURES,
    ) -> None:
        self._run, self._db = run, run.db
        self._oracle, self._executor, self._plan = oracle, executor, plan
        self._callback, self._tracker = callback, tracker
        self._disk = disk or DiskQuota(run)
        self._retries, self._failures = Retries(run.db), FailureMonitor(max_failures)
        self._running: dict[str, RunningTrial] = {}
        self._is_waiting = False
        self._stop_reason = ""

    def search(self) -> str:
        """Trains candidates until the oracle has no more, time is up or someone interrupts.

        Returns:
            Why it ended: the oracle's reason, ``time`` or ``interrupted``.

        Raises:
            RunError: too many candidates failed, a fault of ours, or nothing can be written.
        """
        with self._handle_signals():
            while not self._stop_reason:
                if not self._wait_for_disk_space():
                    continue
                has_more = self._submit_candidates()
                if not has_more and not self._running:
                    return self._oracle.reason or "schedule"
                for event in self._executor.poll(POLL_SECONDS):
                    self._handle(event)
                self._callback.on_tick()
                self._check_time()
            return self._stop_reason

    def _submit_candidates(self) -> bool:
        """Submits a candidate for every free slot; returns whether the oracle may have more."""
        while self._executor.free and not self._stop_reason:
            used = {trial.slot for trial in self._running.values()}
            slot = next(name for name in map("worker-{}".format, count()) if name not in used)
            since = time.monotonic()
            proposal = self._oracle.propose(slot)
            if proposal is DONE:
                return False
            if proposal is WAIT or not isinstance(proposal, Proposal):
                return True
            self._submit(proposal, slot, since)
        return True

    def _submit(self, proposal: Proposal, slot: str, since: float) -> None:
        """Starts a trial, proposed from ``since`` on."""
        trial_id, candidate = proposal.trial_id, self._plan.find_candidate(proposal)
        data = self._plan.describe(proposal, candidate)
        data["propose_seconds"] = time.monotonic() - since
        self._db.append("trial_started", data, trial_id)
        task = self._plan.make_task(proposal, candidate, self._retries.find(trial_id), self._run)
        record = self._db.get_trial(trial_id)
        epochs = {each["epoch"] for each in self._db.get_history(trial_id)}
        self._running[trial_id] = RunningTrial(record, task, slot, epochs, time.monotonic())
        self._executor.submit(task)
        self._tracker.notify()
        self._callback.on_trial_begin(record)

    def _handle(self, event: Event) -> None:
        trial = self._running[event.trial_id]
        if isinstance(event, Waiting):
            self._announce_wait(event.reason)
            return
        if isinstance(event, EpochEnd):
            self._handle_epoch(trial, event)
        else:
            self._handle_end(trial, event)
        self._tracker.notify()

    def _handle_epoch(self, trial: RunningTrial, event: EpochEnd) -> None:
        """Journals an epoch, unless it is a replay of one that is in the journal."""
        self._is_waiting = False
        is_new = event.epoch not in trial.epochs
        if is_new or not event.replayed:
            data = {"epoch": event.epoch, "metrics": event.metrics}
            data |= {"activities": dict(event.activities), "age": event.age}
            self._db.append("epoch", data, event.trial_id)
        if is_new:
            trial.epochs.add(event.epoch)
            self._retries.reset_deaths(event.trial_id)
        self._callback.on_epoch_end(trial.record, event.epoch, dict(event.metrics))

    def _handle_end(self, trial: RunningTrial, event: TrialEnd) -> None:
        outcome, failed = event.outcome, None
        if isinstance(outcome, Completed):
            self._complete(trial, outcome)
        elif isinstance(outcome, Failed):
            if self._retry(trial, outcome):
                return
            self._fail(trial, outcome)
            failed = outcome
        else:
            raise RunError(f"run {self._run.name!r}, trial {event.trial_id}: {outcome.message}")
        del self._running[event.trial_id]
        self._callback.on_trial_end(self._db.get_trial(event.trial_id))
        self._disk.tidy()
        self._check_failures(event.trial_id, failed)

    def _retry(self, trial: RunningTrial, failed: Failed) -> bool:
        """Runs a failed trial again from its last epoch; returns whether that may help."""
        if self._stop_reason and failed.kind == "crash":
            return True  # perhaps killed by the signal that stops us: the next session resumes it
        task = trial.task
        batch = min(task.recipe.batch_size, task.dataset.train.count)
        attempt = self._retries.plan(task, failed, batch)
        if attempt is None:
            return False
        why = f"{failed.kind}: {failed.reason}"
        self._db.append(RETRIED, {**attempt.to_data(), "reason": why}, task.trial_id)
        if not self._stop_reason:  # otherwise the next session finds the attempt in the journal
            trial.task = replace(task, accumulate=attempt.accumulate, attempt=attempt.number)
            self._executor.submit(trial.task)
            self._callback.on_message(f"Trial {task.trial_id}: {why}. {attempt.description}")
        return True

    def _complete(self, trial: RunningTrial, outcome: Completed) -> None:
        result = outcome.measurement
        score = result.score(self._plan.objective)
        data = {"status": "completed", "score": score, "reason": None}
        data |= {"metrics": result.metrics, "seconds": result.seconds}
        if result.latency_ms is not None:
            data["latency_ms"] = result.latency_ms
        with self._db.transaction():
            self._oracle.complete(trial.record.id, score)
            self._db.append("trial_ended", data, trial.record.id)

    def _fail(self, trial: RunningTrial, outcome: Failed) -> None:
        reason = f"{outcome.kind}: {outcome.reason}"
        data: dict[str, Any] = {"status": "failed", "score": None, "reason": reason}
        data |= {"metrics": {}, "seconds": time.monotonic() - trial.since}
        with self._db.transaction():
            self._oracle.fail(trial.record.id, outcome.kind)
            self._db.append("trial_ended", data, trial.record.id)

    def _check_failures(self, trial_id: str, failed: Failed | None) -> None:
        reason = self._failures.record(failed)
        if reason:
            log = self._run.trial_dir(trial_id) / LOG
            more = f" (more in {log})" if log.is_file() else ""
            raise RunError(f"run {self._run.name!r}: {reason}{more}")

    @contextmanager
    def _handle_signals(self) -> Iterator[None]:
        """The first Ctrl-C (or SIGTERM) ends the session in good order, the second at once."""

        def interrupt(number: int, frame: FrameType | None) -> None:
            if self._stop_reason:
                raise KeyboardInterrupt
            self._stop_reason = INTERRUPTED
            self._callback.on_message(
                "Stopping: finished work is kept. Ctrl-C again stops at once."
            )

        signals = (signal.SIGINT, signal.SIGTERM)
        try:
            before = {number: signal.signal(number, interrupt) for number in signals}
        except ValueError:  # not the main thread: the signals are the caller's
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _wait_for_disk_space(self) -> bool:
        """Waits a second if the disk has no room for the journal; returns whether it had."""
        reason = self._disk.explain_full()
        if reason:
            self._announce_wait(reason)
            self._callback.on_tick()
            time.sleep(DISK_SECONDS)
            self._check_time()
        return not reason

    def _announce_wait(self, reason: str) -> None:
        """Shows why the search waits: once, until the next epoch shows that it continues."""
        if not self._is_waiting:
            self._callback.on_message(reason)
        self._is_waiting = True

    def _check_time(self) -> None:
        if self._plan.deadline is not None and time.monotonic() > self._plan.deadline:
            self._stop_reason = self._stop_reason or TIME_IS_UP
