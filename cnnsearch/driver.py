"""The loop of a search: oracle -> executor -> journal, tracking, display.

The driver alone touches the oracle and writes the run's database; a trial's process sends it what
happens. What an event changes (oracle, journal) is one transaction.
"""

import hashlib
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from cnnsearch.cost import count
from cnnsearch.data import Dataset
from cnnsearch.errors import RunError
from cnnsearch.executor import (
    Completed,
    EpochEnd,
    Executor,
    Failed,
    TrialEnd,
    TrialTask,
)
from cnnsearch.oracles.types import DONE, WAIT, Oracle, Proposal
from cnnsearch.outcomes import Pretrained
from cnnsearch.records import TrialRecord
from cnnsearch.rundir import INTERRUPTED, RunDirectory
from cnnsearch.space import Candidate, SearchSpace
from cnnsearch.tracking import Tracker
from cnnsearch.watcher import Watcher

SAME_DEATHS = 3
"""After so many trials in a row that died the same way, the search itself is at fault."""

TIME_IS_UP = "time"


class InternalError(Exception):
    """An error of cnnsearch's own, with the traceback of the process where it happened."""


@dataclass(frozen=True)
class Planned:
    """One training that is decided beforehand."""

    candidate: Candidate
    seed: int


@dataclass(frozen=True)
class Assignment:
    """What stays the same throughout a search.

    Attributes:
        space: fitted to the data set.
        dataset: what candidates are trained on.
        seed: of the search; each trial's own is derived from it.
        epochs: of every candidate, whatever its recipe says; None: the recipe's.
        rungs: whether the oracle decides how long a candidate trains (Hyperband).
        deadline: on the monotonic clock; None: none.
        pretrained: weights that every candidate starts from; None: random ones.
        objective: what candidates are ranked by.
        class_weights: of each class in the loss; empty: all alike.
        changes: of every candidate's recipe, ``key=value``.
        plan: candidates and seeds by trial id, where they are not the oracle's to propose.
    """

    space: SearchSpace
    dataset: Dataset
    seed: int
    epochs: int | None
    rungs: bool
    deadline: float | None = None
    pretrained: Pretrained | None = None
    objective: str = "accuracy"
    class_weights: tuple[float, ...] = ()
    changes: tuple[str, ...] = ()
    plan: Mapping[str, Planned] | None = None

    def candidate(self, proposal: Proposal) -> Candidate:
        """Returns what a proposal stands for."""
        if self.plan is not None:
            return self.plan[proposal.trial_id].candidate
        found = self.space.decode(proposal.values)
        return replace(found, recipe=found.recipe.changed(self.changes)) if self.changes else found

    def seed_of(self, proposal: Proposal, candidate: Candidate) -> int:
        """Returns the seed of a trial."""
        if self.plan is not None:
            return self.plan[proposal.trial_id].seed
        return seed_of(self.seed, candidate.fingerprint)


class Driver:
    """Runs one session of a search; the run's lock is held by the caller.

    Args:
        run: where everything is kept.
        oracle: proposes and learns.
        executor: trains.
        assignment: what is searched.
        watcher: is shown what happens.
        tracker: projects the journal into MLflow.
    """

    def __init__(
        self,
        run: RunDirectory,
        oracle: Oracle,
        executor: Executor,
        assignment: Assignment,
        watcher: Watcher,
        tracker: Tracker,
    ) -> None:
        self._run, self._oracle, self._executor = run, oracle, executor
        self._do, self._watcher, self._tracker = assignment, watcher, tracker
        self._slots: dict[str, str] = {}
        self._trials: dict[str, TrialRecord] = {}
        self._deaths: list[str] = []
        self._stop = ""

    def search(self) -> str:
        """Trains candidates until the oracle has no more, time is up or someone interrupts.

        Returns:
            Why it ended: the oracle's reason, ``time`` or ``interrupted``.

        Raises:
            InternalError: cnnsearch itself failed in a trial.
            RunError: several trials in a row died of the same cause.
        """
        with self._interruptible():
            while not self._stop:
                done = self._fill()
                if done and not self._slots:
                    return self._oracle.reason or "schedule"
                for event in self._executor.poll(0.1):
                    self._handle(event)
                self._watcher.tick()
                if self._do.deadline is not None and time.monotonic() > self._do.deadline:
                    self._stop = TIME_IS_UP
            return self._stop

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C (or SIGTERM) ends the session in good order, the second at once."""

        def interrupt(number: int, frame: FrameType | None) -> None:
            if self._stop:
                raise KeyboardInterrupt
            self._stop = INTERRUPTED
            self._watcher.note("Stopping: what is finished is kept. Ctrl-C again ends at once.")

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

    def _start(self, proposal: Proposal) -> None:
        candidate = self._do.candidate(proposal)
        epochs = self._epochs(proposal, candidate)
        cost = count(candidate.architecture)
        started: dict[str, Any] = {
            "number": proposal.number,
            "values": proposal.values,
            "architecture": candidate.architecture.to_data(),
            "recipe": {**candidate.recipe.to_data(), "epochs": epochs},
            "fingerprint": candidate.fingerprint,
            "family": candidate.architecture.family,
            "params": cost.params,
            "params_total": cost.params_total,
            "macs": cost.macs,
            "epochs": epochs,
            "initial_epoch": proposal.initial_epoch,
            "continues": proposal.continues,
        }
        self._run.db.append("trial_started", started, proposal.trial_id)
        trial = self._trials[proposal.trial_id] = self._run.db.trial(proposal.trial_id)
        self._executor.submit(self._task(proposal, candidate, epochs))
        self._tracker.notify()
        self._watcher.started(trial)

    def _epochs(self, proposal: Proposal, candidate: Candidate) -> int:
        if self._do.rungs:
            return proposal.epochs
        return self._do.epochs or candidate.recipe.epochs

    def _task(self, proposal: Proposal, candidate: Candidate, epochs: int) -> TrialTask:
        before = proposal.continues
        return TrialTask(
            trial_id=proposal.trial_id,
            architecture=candidate.architecture.to_json(),
            recipe=candidate.recipe.model_copy(update={"epochs": epochs}).model_dump_json(),
            epochs=epochs,
            initial_epoch=proposal.initial_epoch,
            seed=self._do.seed_of(proposal, candidate),
            dataset=self._do.dataset,
            directory=self._run.trial_dir(proposal.trial_id),
            continues=self._run.trial_dir(before) if before else None,
            pretrained=self._do.pretrained,
            objective=self._do.objective,
            class_weights=self._do.class_weights,
        )

    def _handle(self, event: EpochEnd | TrialEnd) -> None:
        trial = self._trials[event.trial_id]
        if isinstance(event, EpochEnd):
            data = {"epoch": event.epoch, "metrics": event.metrics}
            self._run.db.append("epoch", data, event.trial_id)
            self._watcher.epoch(trial, event.epoch, dict(event.metrics))
        else:
            self._end(trial, event)
        self._tracker.notify()

    def _end(self, trial: TrialRecord, event: TrialEnd) -> None:
        outcome = event.outcome
        if isinstance(outcome, Completed):
            self._completed(trial, outcome)
        elif isinstance(outcome, Failed):
            self._failed(trial, outcome)
        else:
            raise InternalError(f"trial {trial.id}: {outcome.message}\n{outcome.traceback}")
        del self._slots[trial.id]
        self._watcher.ended(self._run.db.trial(trial.id))
        self._check_deaths()

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
            "seconds": time.time() - trial.started,
        }
        with self._run.db.transaction():
            self._oracle.fail(trial.id, outcome.kind)
            self._run.db.append("trial_ended", ended, trial.id)
        if outcome.kind == "crash":
            self._deaths.append(outcome.reason)
        else:
            self._deaths.clear()

    def _check_deaths(self) -> None:
        last = self._deaths[-SAME_DEATHS:]
        if len(last) == SAME_DEATHS and len(set(last)) == 1:
            cause = f"{SAME_DEATHS} candidates in a row died of the same cause: {last[0]}"
            raise RunError(f"run {self._run.name!r}: {cause}")


def _slot_names() -> Iterator[str]:
    number = 0
    while True:
        yield f"worker-{number}"
        number += 1


def seed_of(seed: int, fingerprint: str) -> int:
    """Returns the seed of one candidate's training: it depends on nothing but these two."""
    digest = hashlib.sha256(f"{seed}/{fingerprint}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
