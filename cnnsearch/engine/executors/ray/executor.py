"""The executor that runs trials on the nodes of a Ray cluster."""

import errno
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cnnsearch.engine.executors.ray.cluster import LOCAL, Cluster, Store
from cnnsearch.engine.executors.ray.files import describe_loss, write_files
from cnnsearch.engine.executors.ray.worker import (
    Files,
    Message,
    NeedsImages,
    Started,
    TaskBundle,
    Worker,
    read_files,
)
from cnnsearch.engine.options import StartMethod
from cnnsearch.training.messages import Event, Failed, Fault, TrialEnd, TrialTask, Waiting

MAX_PLACEMENTS = 5
"""Workers that a trial is given in all, if they are gone before it begins."""
MESSAGE_SECONDS = 300.0
"""Seconds in which a message of a worker must arrive."""
LEAVE_SECONDS = 5.0
"""Seconds that workers have to clean up after themselves."""
DISK_RETRY_SECONDS = 1.0
"""Seconds between two attempts to write to a full disk."""
ENVIRONMENT = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")
"""Variables that workers take over from here."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class _RemoteWorker:
    """A worker of the cluster; ``is_up`` once it has sent a message."""

    actor: Any
    is_up: bool = False


@dataclass
class _Running:
    """A trial that is being trained."""

    task: TrialTask
    worker: _RemoteWorker
    stream: Any
    placed: int = 1
    started: bool = False
    deadline: float | None = None
    unwritten: Files | None = field(default=None, repr=False)


class RayExecutor:
    """Runs each trial in a process of its own, on whichever node Ray finds room.

    Checkpoints and logs arrive with events and are kept here, in the trials' folders, so that a
    trial can resume on any node. Images that a node cannot read are sent once.

    Args:
        address: of a cluster, as HOST:PORT or ``auto``; None: one is started on this machine,
            reachable from nowhere else, which ends with this executor, however that ends.
        slots: trials in parallel; None: as many as the cluster's cores and GPUs allow.
        gpus_per_trial: a fraction of one, or several; None: one, if there are any.
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
        self._idle: list[_RemoteWorker] = []
        self._store = Store(self._cluster)
        self._most = 0

    def warm(self) -> None:
        """Connects in the background."""
        self._cluster.start()

    @property
    def free(self) -> int:
        """The number of free slots; waits until Ray is up."""
        return max(0, self._cluster.slots - len(self._running))

    def submit(self, task: TrialTask) -> None:
        """Gives the trial to an idle worker, or to a new one.

        After the loss of a node its trials may be submitted again; they wait for room.
        """
        self._most = max(self._most, self._cluster.slots)
        if len(self._running) >= self._most:
            raise RuntimeError("no slot is free")
        worker = self._idle.pop() if self._idle else self._start_worker()
        self._running.append(_Running(task, worker, self._send(task, worker)))

    def poll(self, timeout: float) -> list[Event]:
        """Returns the events of all trials; waits for one, at most ``timeout`` seconds.

        Raises:
            RunError: Ray has died on this machine.
        """
        self._cluster.check()
        until = time.monotonic() + timeout
        events: list[Event] = []
        while self._running and not events:
            left = until - time.monotonic()
            for trial in self._wait_for_messages(max(0.0, left)):
                events += self._receive(trial)
            events += [self._time_out(trial) for trial in self._find_overdue()]
            if left <= 0:
                break
        return events

    def cancel(self, trial_id: str) -> None:
        """Kills the trial's worker, and with it its process."""
        for trial in list(self._running):
            if trial.task.trial_id == trial_id:
                self._release(trial)

    def close(self) -> None:
        """Kills all workers, and ends the cluster if it was started here."""
        workers = [*self._idle, *(trial.worker for trial in self._running)]
        self._idle.clear()
        self._running.clear()
        if workers:
            self._stop_workers(workers)
        self._cluster.leave()

    def _stop_workers(self, workers: list[_RemoteWorker]) -> None:
        """Lets workers clean up, then kills them."""
        ray = self._cluster.ray()
        with suppress(Exception):  # nodes may be gone, and the cluster with them
            leaving = [worker.actor.leave.remote() for worker in workers if worker.is_up]
            ray.wait(leaving, num_returns=len(leaving), timeout=LEAVE_SECONDS)
        for worker in workers:
            self._kill(worker)

    def _kill(self, worker: _RemoteWorker) -> None:
        with suppress(Exception):
            self._cluster.ray().kill(worker.actor)

    def _start_worker(self) -> _RemoteWorker:
        """Has Ray start a worker as soon as a node has room."""
        share = self._cluster.share
        environment = {k: os.environ[k] for k in ENVIRONMENT if k in os.environ}
        if not share.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        remote_class = self._cluster.ray().remote(Worker)
        actor = remote_class.options(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,  # so that leave() runs while a trial does
            scheduling_strategy="SPREAD",
        ).remote(
            threads=share.cpus,
            session=self._session,
            root=self._cluster.folder,
            start_method=self._start_method,
            environment=environment,
        )
        return _RemoteWorker(actor)

    def _send(self, task: TrialTask, worker: _RemoteWorker, with_images: bool = False) -> Any:
        """Sends a task and its files; returns the stream of the worker's messages."""
        bundle = TaskBundle(
            task,
            own=read_files(task.directory),
            before=read_files(task.continues) if task.continues else {},
            weights=self._store.put_weights(task.pretrained),
            pieces=self._store.put_pieces(task.dataset) if with_images else None,
        )
        return worker.actor.run.options(num_returns="streaming").remote(bundle)

    def _wait_for_messages(self, timeout: float) -> list[_Running]:
        """Returns the trials that have sent a message; waits for one."""
        waiting = [trial for trial in self._running if trial.unwritten]
        streams = [trial.stream for trial in self._running if not trial.unwritten]
        if not streams:
            time.sleep(min(timeout, DISK_RETRY_SECONDS))
            return waiting
        ray, patience = (
            self._cluster.ray(),
            DISK_RETRY_SECONDS if waiting else self._compute_timeout(),
        )
        found, _ = ray.wait(streams, num_returns=1, timeout=min(timeout, patience))
        if found:
            found, _ = ray.wait(streams, num_returns=len(streams), timeout=0)
        return waiting + [t for t in self._running if any(t.stream is one for one in found)]

    def _compute_timeout(self) -> float:
        """Returns the seconds until the first deadline."""
        deadlines = [t.deadline for t in self._running if t.deadline is not None]
        return max(0.0, min(deadlines) - time.monotonic()) + 1e-3 if deadlines else 3600.0

    def _find_overdue(self) -> list[_Running]:
        now = time.monotonic()
        return [t for t in self._running if t.deadline is not None and now > t.deadline]

    def _time_out(self, trial: _Running) -> TrialEnd:
        return self._end(trial, Failed("timeout", f"killed after {self._timeout:g} seconds"))

    def _receive(self, trial: _Running) -> list[Event]:
        """Receives a message of a trial; if its worker is lost, that is its end."""
        if trial.unwritten:
            return self._write(trial, trial.unwritten)
        ray = self._cluster.ray()
        try:
            message: Message = ray.get(next(trial.stream), timeout=MESSAGE_SECONDS)
        except (StopIteration, ray.exceptions.RayError) as error:
            return self._handle_loss(trial, error)
        trial.worker.is_up = True
        return self._handle(trial, message)

    def _handle(self, trial: _Running, message: Message) -> list[Event]:
        if isinstance(message, Files):
            return self._write(trial, message)
        if isinstance(message, NeedsImages):
            trial.stream = self._send(trial.task, trial.worker, with_images=True)
            return []
        if isinstance(message, Started | Waiting):  # waiting does not count against the timeout
            trial.started = True
            if self._timeout is not None:
                trial.deadline = time.monotonic() + self._timeout
        if isinstance(message, TrialEnd):
            self._running.remove(trial)
            self._reuse(trial.worker)
        return [] if isinstance(message, Started) else [message]

    def _reuse(self, worker: _RemoteWorker) -> None:
        """Keeps an idle worker, or gives it to a trial that still waits for one to start."""
        waiting = next((t for t in self._running if not t.worker.is_up), None)
        if waiting is None:
            self._idle.append(worker)
            return
        self._kill(waiting.worker)
        waiting.worker, waiting.stream = worker, self._send(waiting.task, worker)

    def _handle_loss(self, trial: _Running, error: Exception) -> list[Event]:
        """Places a trial whose worker is gone anew if it had not begun; otherwise ends it."""
        if trial.started or trial.placed >= MAX_PLACEMENTS:
            return [self._end(trial, describe_loss(error))]
        self._kill(trial.worker)
        trial.placed += 1
        trial.worker = self._idle.pop() if self._idle else self._start_worker()
        trial.stream = self._send(trial.task, trial.worker)
        return []

    def _release(self, trial: _Running) -> None:
        self._running.remove(trial)
        self._kill(trial.worker)

    def _end(self, trial: _Running, outcome: Failed | Fault) -> TrialEnd:
        self._release(trial)
        return TrialEnd(trial.task.trial_id, outcome)

    def _write(self, trial: _Running, files: Files) -> list[Event]:
        """Writes a trial's files; a full disk is reported, and they are kept in memory."""
        again, trial.unwritten = trial.unwritten is not None, None
        try:
            write_files(trial.task.directory, files)
        except OSError as error:
            where = f"{error.filename or trial.task.directory}: {error.strerror}"
            if error.errno not in NO_ROOM:
                fault = Fault(f"a trial's files cannot be written: {where}")
                return [self._end(trial, fault)]
            trial.unwritten = files
            reason = f"{where}: paused until there is room, nothing is lost."
            return [] if again else [Waiting(files.trial_id, reason)]
        return []
