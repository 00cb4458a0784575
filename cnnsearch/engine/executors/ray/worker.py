"""Runs on a cluster's nodes: a worker per slot, which starts a process for each trial.

A trial writes to a folder of its node. Its files travel to the driver before the event that they
belong to, and only the driver writes into the run: no node needs to see the run's folder, and a
node that was given up cannot corrupt what another one resumes.
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
"""The files of a trial that can be resumed, in the order of writing."""


@dataclass(frozen=True)
class Started:
    """A worker begins a trial now."""

    trial_id: str


@dataclass(frozen=True)
class NeedsImages:
    """A trial cannot begin before its images are sent."""

    trial_id: str


@dataclass(frozen=True)
class Files:
    """What a trial has written since its last event.

    Attributes:
        trial_id: of the trial.
        checkpoints: new content, by file name.
        log: appended to the log.
    """

    trial_id: str
    checkpoints: Mapping[str, bytes] = field(default_factory=dict)
    log: bytes = b""


Message = Event | Started | NeedsImages | Files


@dataclass(frozen=True)
class TaskBundle:
    """A task, and the driver's files that it needs.

    Attributes:
        task: with the driver's paths.
        own: checkpoints of the trial, by file name.
        before: those of the trial that it continues.
        weights: reference to the content of the pretrained weights' file.
        pieces: references to the pieces of the data set; None: the node may have it already.
    """

    task: TrialTask
    own: Mapping[str, bytes] = field(default_factory=dict)
    before: Mapping[str, bytes] = field(default_factory=dict)
    weights: Any = None
    pieces: tuple[Any, ...] | None = None


def read_files(folder: Path) -> dict[str, bytes]:
    """Returns the checkpoints in a trial's folder."""
    paths = [folder / name for name in CHECKPOINTS]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


class FileSendingPipe:
    """A trial's pipe that sends new files before each event."""

    def __init__(self, pipe: Connection, folder: Path) -> None:
        self._pipe, self._folder = pipe, folder
        self._sent = {name: self._get_stamp(name) for name in CHECKPOINTS}

    def send(self, event: Event) -> None:
        """Sends new files, then the event; the trial waits, so that files are consistent."""
        if isinstance(event, EpochEnd | TrialEnd):
            stamps = {name: self._get_stamp(name) for name in CHECKPOINTS}
            changed = [name for name in CHECKPOINTS if stamps[name] not in (None, self._sent[name])]
            if changed:
                found = {name: (self._folder / name).read_bytes() for name in changed}
                self._pipe.send(Files(event.trial_id, found))
            self._sent = stamps
        self._pipe.send(event)

    def recv_bytes(self) -> bytes:
        """Waits for the worker to exit: it never sends anything."""
        return self._pipe.recv_bytes()

    def _get_stamp(self, name: str) -> tuple[int, int] | None:
        try:
            found = (self._folder / name).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns


def train(threads: int, pipe: Connection, orders: ChildTask) -> None:
    """The main function of a trial's process: as elsewhere, but sending files with events."""
    pipe_with_files = FileSendingPipe(pipe, orders.folder)
    child.main(cast(Connection, pipe_with_files), replace(orders, threads=threads))


class Worker:
    """One slot of a cluster: runs one trial after another, each in a process of its own.

    Args:
        threads: for a trial's backend.
        session: name of the search, whose workers on a node share the images.
        root: folder for temporary files; None: the system's.
        start_method: of the processes.
        environment: variables to take over from the driver.
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

    def run(self, bundle: TaskBundle) -> Iterator[Message]:
        """Trains a task; yields its events and files."""
        trial_id = bundle.task.trial_id
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            task = self._unpack(bundle)
            if task is None:
                yield NeedsImages(trial_id)
                return
        except (CnnsearchError, OSError) as error:
            yield TrialEnd(trial_id, Fault(f"node {os.uname().nodename}: {error}"))
            return
        yield Started(trial_id)
        yield from self._train(task)
        shutil.rmtree(self._folder, ignore_errors=True)

    def leave(self) -> None:
        """Ends the running trial, and removes this worker's files from the node."""
        self._executor.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._scratch.leave()

    def _unpack(self, bundle: TaskBundle) -> TrialTask | None:
        """Writes the files where the task finds them; None: its images must be sent first."""
        import ray

        task = bundle.task
        changes: dict[str, Any] = {"directory": _write_files(self._folder / "trial", bundle.own)}
        if task.continues is not None:
            changes["continues"] = _write_files(self._folder / "before", bundle.before)
        if task.pretrained is not None:
            content = {task.pretrained.weights.name: ray.get(bundle.weights)}
            place = _write_files(self._folder / "weights", content) / task.pretrained.weights.name
            changes["pretrained"] = replace(
                task.pretrained, weights=place, cache=self._scratch.path / "features"
            )
        if not is_here(task.dataset):
            if bundle.pieces is None:
                return None
            with self._scratch.take_turn():
                arriving = (ray.get(piece) for piece in bundle.pieces)
                root = self._scratch.path / "data"
                changes["dataset"] = unpack(task.dataset, arriving, root)
        return replace(task, **changes)

    def _train(self, task: TrialTask) -> Iterator[Message]:
        self._executor.submit(task)
        sent = 0
        while not self._executor.free:
            for message in self._executor.poll(1.0):
                log = _read_from(task.directory / LOG, sent)
                if log and isinstance(message, EpochEnd | TrialEnd):
                    sent += len(log)
                    yield Files(task.trial_id, log=log)
                yield message


def _write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def _read_from(path: Path, start: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read()
    except FileNotFoundError:
        return b""
