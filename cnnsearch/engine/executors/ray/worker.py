"""What runs on a cluster's nodes: a worker for each slot, which starts a process for each trial.

Trials are trained in folders of their node. What they write travels to the driver with the event
that tells of it, and the driver alone writes into the run: so no node needs to see the run's
folder, and a node that was given up for lost cannot spoil what another one goes on with.
"""

import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from cnnsearch.data.transport import is_here, unpack
from cnnsearch.engine.executors import child
from cnnsearch.engine.executors.child import ChildTask
from cnnsearch.engine.executors.processes import ProcessExecutor
from cnnsearch.engine.executors.ray.scratch import Scratch
from cnnsearch.engine.options import StartMethod
from cnnsearch.errors import CnnsearchError
from cnnsearch.training.messages import EpochEnd, Event, Fault, TrialEnd, TrialTask
from cnnsearch.training.trial import LOG

CHECKPOINTS = ("state.npz", "best.npz")
"""What a trial leaves in its folder to be gone on with, in the order in which it is written."""


@dataclass(frozen=True)
class Started:
    """A trial has a worker, which begins it now."""

    trial_id: str


@dataclass(frozen=True)
class Lacking:
    """A trial cannot be begun before its images are sent."""

    trial_id: str


@dataclass(frozen=True)
class Files:
    """What a trial has written since it was last told.

    Attributes:
        trial_id: of which trial.
        checkpoints: new content of files, by name.
        log: more of the log.
    """

    trial_id: str
    checkpoints: Mapping[str, bytes] = field(default_factory=dict)
    log: bytes = b""


Message = Event | Started | Lacking | Files


@dataclass(frozen=True)
class Cargo:
    """A task, and files of the driver's that it needs.

    Attributes:
        task: as the driver has it.
        own: checkpoints of the trial itself, by name.
        before: those of the trial that it continues.
        weights: reference to the content of the file of pretrained weights.
        pieces: references to the pieces of the data set; None: they may not be needed.
    """

    task: TrialTask
    own: Mapping[str, bytes] = field(default_factory=dict)
    before: Mapping[str, bytes] = field(default_factory=dict)
    weights: Any = None
    pieces: tuple[Any, ...] | None = None


def read_files(folder: Path) -> dict[str, bytes]:
    """Returns the checkpoints that lie in a trial's folder."""
    paths = [folder / name for name in CHECKPOINTS]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


class Courier:
    """Stands between a trial's process and its pipe: with an event it sends what was written."""

    def __init__(self, pipe: Connection, folder: Path) -> None:
        self._pipe, self._folder = pipe, folder
        self._sent = {name: self._stamp(name) for name in CHECKPOINTS}

    def send(self, event: Event) -> None:
        """Sends new files, then the event; the trial waits, so the files belong together."""
        if isinstance(event, EpochEnd | TrialEnd):
            stamps = {name: self._stamp(name) for name in CHECKPOINTS}
            changed = [name for name in CHECKPOINTS if stamps[name] not in (None, self._sent[name])]
            if changed:
                found = {name: (self._folder / name).read_bytes() for name in changed}
                self._pipe.send(Files(event.trial_id, found))
            self._sent = stamps
        self._pipe.send(event)

    def recv_bytes(self) -> bytes:
        """Waits for the worker, which never sends anything."""
        return self._pipe.recv_bytes()

    def _stamp(self, name: str) -> tuple[int, int] | None:
        try:
            found = (self._folder / name).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns


def train(threads: int, pipe: Connection, orders: ChildTask) -> None:
    """Is what a trial's process runs: as elsewhere, but files travel with events."""
    courier = Courier(pipe, orders.folder)
    child.main(cast(Connection, courier), replace(orders, threads=threads))


class Worker:
    """One slot of a cluster; runs one trial after another, each in a process of its own.

    Args:
        threads: for a trial's backend.
        session: names the search, so that its workers on a node share the images.
        root: for what is temporary; None: where the system keeps that.
        start_method: of the processes.
        environment: variables that are to be as they are at the driver's.
    """

    def __init__(
        self,
        threads: int,
        session: str,
        root: Path | None,
        start_method: StartMethod,
        environment: Mapping[str, str],
    ) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.environ.update(environment)
        self._scratch = Scratch(session, root)
        self._folder = self._scratch.path / str(os.getpid())
        gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        self._executor = ProcessExecutor(
            1,
            start_method=start_method,
            gpus=(gpu,) if gpu else (),
            target=partial(train, threads),
        )
        self._executor.warm()

    def run(self, cargo: Cargo) -> Iterator[Message]:
        """Trains; yields what happens and what is written."""
        trial_id = cargo.task.trial_id
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            task = self._unloaded(cargo)
            if task is None:
                yield Lacking(trial_id)
                return
        except (CnnsearchError, OSError) as error:
            yield TrialEnd(trial_id, Fault(f"node {os.uname().nodename}: {error}"))
            return
        yield Started(trial_id)
        yield from self._trained(task)
        shutil.rmtree(self._folder, ignore_errors=True)

    def leave(self) -> None:
        """Ends the trial that runs, and removes what this worker has on its node."""
        self._executor.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._scratch.leave()

    def _unloaded(self, cargo: Cargo) -> TrialTask | None:
        """Puts the files where the task finds them; None: the images have to be sent first."""
        import ray

        task = cargo.task
        changes: dict[str, Any] = {"directory": _put(self._folder / "trial", cargo.own)}
        if task.continues is not None:
            changes["continues"] = _put(self._folder / "before", cargo.before)
        if task.pretrained is not None:
            content = {task.pretrained.weights.name: ray.get(cargo.weights)}
            place = _put(self._folder / "weights", content) / task.pretrained.weights.name
            changes["pretrained"] = replace(task.pretrained, weights=place)
        if not is_here(task.dataset):
            if cargo.pieces is None:
                return None
            with self._scratch.alone():
                arriving = (ray.get(piece) for piece in cargo.pieces)
                root = self._scratch.path / "data"
                changes["dataset"] = unpack(task.dataset, arriving, root)
        return replace(task, **changes)

    def _trained(self, task: TrialTask) -> Iterator[Message]:
        self._executor.submit(task)
        told = 0
        while not self._executor.free:
            for message in self._executor.poll(1.0):
                log = _tail(task.directory / LOG, told)
                if log and isinstance(message, EpochEnd | TrialEnd):
                    told += len(log)
                    yield Files(task.trial_id, log=log)
                yield message


def _put(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def _tail(path: Path, start: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read()
    except FileNotFoundError:
        return b""
