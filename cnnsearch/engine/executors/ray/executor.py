"""Trials on the nodes of a Ray cluster, or on one of this machine's own."""

import errno
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cnnsearch.engine.executors.ray.cluster import LOCAL, Cluster, Store
from cnnsearch.engine.executors.ray.files import loss, write_files
from cnnsearch.engine.executors.ray.worker import (
    Cargo,
    Files,
    Lacking,
    Message,
    Started,
    Worker,
    read_files,
)
from cnnsearch.engine.options import StartMethod
from cnnsearch.training.messages import Event, Failed, Fault, TrialEnd, TrialTask, Waiting

PLACINGS = 5
"""A trial whose worker is gone before it has begun is given another one, so often in all."""
FETCHED = 300.0
"""Seconds in which what a worker says has to arrive."""
FAREWELL = 5.0
"""Seconds that workers have to clean up after themselves."""
PATIENCE = 1.0
"""Seconds between two tries to write to a full disk."""
PASSED_ON = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")
"""Variables that are on a node as they are here."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class _Hand:
    """A worker of the cluster; ``there`` once it has said something."""

    actor: Any
    there: bool = False


@dataclass
class _Running:
    """A trial under way."""

    task: TrialTask
    hand: _Hand
    stream: Any
    placed: int = 1
    started: bool = False
    deadline: float | None = None
    unwritten: Files | None = field(default=None, repr=False)


class RayExecutor:
    """Runs each trial in a process of its own, on whichever node Ray finds room.

    What trials write (checkpoints, log) is sent along with their events and kept here, in their
    folders, so that a trial can go on anywhere. Images that a node does not see are sent once.

    Args:
        address: of a cluster, as HOST:PORT or ``auto``; None: one is started on this machine,
            reachable from nowhere else, and ends with this executor, however that ends.
        slots: trials side by side; None: as many as the cluster's cores and GPUs allow.
        gpus_per_trial: a share of one or several; None: one, where there are any.
        timeout: seconds after which a trial is killed; None: never.
        start_method: of the trials' processes.

    Raises:
        CnnsearchError: Ray is not installed, an argument makes no sense, nobody answers there.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        slots: int | None = None,
        gpus_per_trial: float | None = None,
        timeout: float | None = None,
        start_method: StartMethod = "auto",
    ) -> None:
        if slots is not None and slots < 1:
            raise ValueError(f"a Ray executor has at least 1 slot, got {slots}")
        self._cluster = Cluster(address or LOCAL, slots, gpus_per_trial)
        self._timeout, self._start_method = timeout, start_method
        self._session = secrets.token_hex(4)
        self._running: list[_Running] = []
        self._idle: list[_Hand] = []
        self._store = Store(self._cluster)
        self._most = 0

    def warm(self) -> None:
        """Connects in the background."""
        self._cluster.start()

    @property
    def free(self) -> int:
        """How many slots are; waits until Ray is there."""
        return max(0, self._cluster.slots - len(self._running))

    def submit(self, task: TrialTask) -> None:
        """Gives the trial to a worker, or has Ray find a place for one.

        Where a node was lost, what ran on it may be submitted again all the same, and waits.
        """
        self._most = max(self._most, self._cluster.slots)
        if len(self._running) >= self._most:
            raise RuntimeError("no slot is free")
        hand = self._idle.pop() if self._idle else self._hire()
        self._running.append(_Running(task, hand, self._sent(task, hand)))

    def poll(self, timeout: float) -> list[Event]:
        """Returns the events of all trials; waits for one, at most ``timeout`` seconds."""
        until = time.monotonic() + timeout
        events: list[Event] = []
        while self._running and not events:
            left = until - time.monotonic()
            for trial in self._ready(max(0.0, left)):
                events += self._heard(trial)
            events += [self._timed_out(trial) for trial in self._overdue()]
            if left <= 0:
                break
        return events

    def cancel(self, trial_id: str) -> None:
        """Kills the trial's worker, and with it its process."""
        for trial in list(self._running):
            if trial.task.trial_id == trial_id:
                self._drop(trial)

    def close(self) -> None:
        """Kills all workers, and ends the cluster if it was started here."""
        hands = [*self._idle, *(trial.hand for trial in self._running)]
        self._idle.clear()
        self._running.clear()
        if hands:
            self._dismiss(hands)
        self._cluster.leave()

    def _dismiss(self, hands: list[_Hand]) -> None:
        """Has workers clean up, and kills those that do not."""
        ray = self._cluster.ray()
        with suppress(Exception):  # nodes may be gone, and the cluster with them
            leaving = [hand.actor.leave.remote() for hand in hands if hand.there]
            ray.wait(leaving, num_returns=len(leaving), timeout=FAREWELL)
        for hand in hands:
            self._kill(hand)

    def _kill(self, hand: _Hand) -> None:
        with suppress(Exception):
            self._cluster.ray().kill(hand.actor)

    def _hire(self) -> _Hand:
        """Has Ray start a worker where there is room, as soon as there is."""
        share = self._cluster.share
        environment = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
        if not share.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        worker = self._cluster.ray().remote(Worker)
        actor = worker.options(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,  # so that it can be told to leave while a trial runs
            scheduling_strategy="SPREAD",
        ).remote(
            threads=share.cpus,
            session=self._session,
            root=self._cluster.folder,
            start_method=self._start_method,
            environment=environment,
        )
        return _Hand(actor)

    def _sent(self, task: TrialTask, hand: _Hand, with_images: bool = False) -> Any:
        """Sends a task and what it needs; returns the stream of what the worker says."""
        cargo = Cargo(
            task,
            own=read_files(task.directory),
            before=read_files(task.continues) if task.continues else {},
            weights=self._store.weights(task.pretrained),
            pieces=self._store.pieces(task.dataset) if with_images else None,
        )
        return hand.actor.run.options(num_returns="streaming").remote(cargo)

    def _ready(self, timeout: float) -> list[_Running]:
        """Returns the trials of which there is something to hear; waits for one."""
        waiting = [trial for trial in self._running if trial.unwritten]
        streams = [trial.stream for trial in self._running if not trial.unwritten]
        if not streams:
            time.sleep(min(timeout, PATIENCE))
            return waiting
        ray, patience = self._cluster.ray(), PATIENCE if waiting else self._patience()
        found, _ = ray.wait(streams, num_returns=1, timeout=min(timeout, patience))
        if found:
            found, _ = ray.wait(streams, num_returns=len(streams), timeout=0)
        return waiting + [t for t in self._running if any(t.stream is one for one in found)]

    def _patience(self) -> float:
        """Seconds until the first deadline."""
        deadlines = [t.deadline for t in self._running if t.deadline is not None]
        return max(0.0, min(deadlines) - time.monotonic()) + 1e-3 if deadlines else 3600.0

    def _overdue(self) -> list[_Running]:
        now = time.monotonic()
        return [t for t in self._running if t.deadline is not None and now > t.deadline]

    def _timed_out(self, trial: _Running) -> TrialEnd:
        return self._ended(trial, Failed("timeout", f"killed after {self._timeout:g} seconds"))

    def _heard(self, trial: _Running) -> list[Event]:
        """Takes one message of a trial; whatever goes wrong with it is an event too."""
        if trial.unwritten:
            return self._kept(trial, trial.unwritten)
        ray = self._cluster.ray()
        try:
            message: Message = ray.get(next(trial.stream), timeout=FETCHED)
        except (StopIteration, ray.exceptions.RayError) as error:
            return self._lost(trial, error)
        trial.hand.there = True
        return self._told(trial, message)

    def _told(self, trial: _Running, message: Message) -> list[Event]:
        if isinstance(message, Files):
            return self._kept(trial, message)
        if isinstance(message, Lacking):
            trial.stream = self._sent(trial.task, trial.hand, with_images=True)
            return []
        if isinstance(message, Started | Waiting):  # which is not the trial's own time
            trial.started = True
            if self._timeout is not None:
                trial.deadline = time.monotonic() + self._timeout
        if isinstance(message, TrialEnd):
            self._running.remove(trial)
            self._rest(trial.hand)
        return [] if isinstance(message, Started) else [message]

    def _rest(self, hand: _Hand) -> None:
        """A worker has nothing to do, unless a trial waits for Ray to find it another one."""
        waiting = next((t for t in self._running if not t.hand.there), None)
        if waiting is None:
            self._idle.append(hand)
            return
        self._kill(waiting.hand)
        waiting.hand, waiting.stream = hand, self._sent(waiting.task, hand)

    def _lost(self, trial: _Running, error: Exception) -> list[Event]:
        """What becomes of a trial whose worker is gone."""
        if trial.started or trial.placed >= PLACINGS:
            return [self._ended(trial, loss(error))]
        self._kill(trial.hand)
        trial.placed += 1
        trial.hand = self._idle.pop() if self._idle else self._hire()
        trial.stream = self._sent(trial.task, trial.hand)
        return []

    def _drop(self, trial: _Running) -> None:
        self._running.remove(trial)
        self._kill(trial.hand)

    def _ended(self, trial: _Running, outcome: Failed | Fault) -> TrialEnd:
        self._drop(trial)
        return TrialEnd(trial.task.trial_id, outcome)

    def _kept(self, trial: _Running, files: Files) -> list[Event]:
        """Writes a trial's files; while there is no room, says so and keeps them in memory."""
        again, trial.unwritten = trial.unwritten is not None, None
        try:
            write_files(trial.task.directory, files)
        except OSError as error:
            where = f"{error.filename or trial.task.directory}: {error.strerror}"
            if error.errno not in NO_ROOM:
                fault = Fault(f"what a trial sent cannot be written: {where}")
                return [self._ended(trial, fault)]
            trial.unwritten = files
            reason = f"{where}: paused until there is room, nothing is lost."
            return [] if again else [Waiting(files.trial_id, reason)]
        return []
