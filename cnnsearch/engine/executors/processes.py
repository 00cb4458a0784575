"""A process for each trial, forked from a server that has the frameworks loaded."""

import multiprocessing
import multiprocessing.forkserver as forkserver
import pickle
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from cnnsearch.engine.executors import child
from cnnsearch.engine.executors.child import ChildTask
from cnnsearch.engine.options import StartMethod
from cnnsearch.errors import RunError
from cnnsearch.training.messages import Event, Failed, TrialEnd, TrialTask, Waiting
from cnnsearch.utils.hardware import count_cores, count_oom_kills

Target = Callable[[Connection, ChildTask], None]

GRACE = 10.0
"""Seconds that a process has to end after its last message, or after it was killed."""
STARTS = 5
PAUSE = 0.3
"""How often a process is tried to be started, with so many seconds more each time in between."""
_MAIN = threading.Lock()


@dataclass
class _Running:
    """A trial under way."""

    trial_id: str
    process: BaseProcess
    pipe: Connection
    deadline: float | None
    gpu: str | None
    oom_kills: int
    ended: bool = False

    @property
    def overdue(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline


class ProcessExecutor:
    """Runs each trial in a process of its own, so that none can take another or the search with it.

    A forked process starts in milliseconds where a spawned one imports for seconds. What trials
    print goes to ``trial.log`` in their folders. They end when the driver does, however it ends.

    Args:
        slots: trials side by side; each gets its share of the cores.
        timeout: seconds after which a trial is killed; None: never.
        start_method: ``auto`` forks from a server where the system can, otherwise spawns.
        gpus: for each slot one of these, as many slots to each; empty: every trial sees all.
        target: what a trial's process runs.
    """

    def __init__(
        self,
        slots: int = 1,
        *,
        timeout: float | None = None,
        start_method: StartMethod = "auto",
        gpus: Sequence[str] = (),
        target: Target = child.main,
    ) -> None:
        if slots < 1:
            raise ValueError(f"a process executor has at least 1 slot, got {slots}")
        self._slots, self._timeout = slots, timeout
        self._gpus, self._target = tuple(gpus), target
        self._threads = max(1, count_cores() // slots)
        self._context: Any = multiprocessing.get_context(_method(start_method))
        if self._context.get_start_method() == "forkserver":
            self._context.set_forkserver_preload(["cnnsearch.engine.executors.preload"])
        self._running: dict[Connection, _Running] = {}

    def warm(self) -> None:
        """Starts the fork server; it imports the frameworks while the caller does other things."""
        if self._context.get_start_method() == "forkserver":
            with _without_main():
                forkserver.ensure_running()

    @property
    def free(self) -> int:
        """How many slots are."""
        return self._slots - len(self._running)

    def submit(self, task: TrialTask) -> None:
        """Starts the trial's process."""
        if not self.free:
            raise RuntimeError("no slot is free")
        gpu, kills = self._free_gpu(), count_oom_kills()
        orders = ChildTask(task.trial_id, task.directory, pickle.dumps(task), self._threads, gpu)
        process, pipe = self._started(orders)
        self._running[pipe] = _Running(task.trial_id, process, pipe, self._deadline(), gpu, kills)

    def _started(self, orders: ChildTask) -> tuple[BaseProcess, Connection]:
        """Starts a trial's process; the fork server may have been killed, and is made anew then."""
        for attempt in range(1, STARTS + 1):
            ours, theirs = self._context.Pipe()
            process = self._context.Process(
                target=self._target,
                args=(theirs, orders),
                name=f"cnnsearch trial {orders.trial_id}",
                daemon=True,
            )
            try:
                with _without_main():
                    process.start()
                break
            except (EOFError, OSError) as error:
                ours.close()
                if attempt == STARTS:
                    raise _unstartable(error) from None
                time.sleep(PAUSE * attempt)  # a server that is dying is not yet seen to be dead
            finally:
                theirs.close()
        return process, ours

    def _free_gpu(self) -> str | None:
        """The GPU on which the fewest trials run."""
        if not self._gpus:
            return None
        used = Counter(trial.gpu for trial in self._running.values())
        return min(self._gpus, key=lambda gpu: used[gpu])

    def _deadline(self) -> float | None:
        return None if self._timeout is None else time.monotonic() + self._timeout

    def poll(self, timeout: float) -> list[Event]:
        """Returns the events of all trials; waits for one, at most ``timeout`` seconds."""
        until = time.monotonic() + timeout
        events: list[Event] = []
        while self._running and not events:
            left = until - time.monotonic()
            for pipe in wait(list(self._running), max(0.0, min(left, self._patience()))):
                events += self._heard(self._running[pipe])  # type: ignore[index]
            events += [self._timed_out(trial) for trial in self._overdue()]
            if left <= 0:
                break
        return events

    def cancel(self, trial_id: str) -> None:
        """Kills the trial's process."""
        for trial in list(self._running.values()):
            if trial.trial_id == trial_id:
                self._drop(trial, kill=True)

    def close(self) -> None:
        """Kills all trials' processes."""
        for trial in self._running.values():
            trial.process.kill()
        for trial in list(self._running.values()):
            self._drop(trial, kill=True)

    def _patience(self) -> float:
        """Seconds until the first deadline."""
        deadlines = [t.deadline for t in self._running.values() if t.deadline is not None]
        return max(0.0, min(deadlines) - time.monotonic()) + 1e-3 if deadlines else 3600.0

    def _overdue(self) -> list[_Running]:
        return [trial for trial in self._running.values() if trial.overdue]

    def _heard(self, trial: _Running) -> Iterator[Event]:
        """Yields what a trial has sent; dying without a last word is an event too."""
        try:
            while trial.pipe.poll():
                event = trial.pipe.recv()
                trial.ended = trial.ended or isinstance(event, TrialEnd)
                if isinstance(event, Waiting):  # not the trial's own time
                    trial.deadline = self._deadline()
                yield event
        except (EOFError, OSError, pickle.UnpicklingError):
            code = self._drop(trial)
            if not trial.ended:
                yield TrialEnd(trial.trial_id, _died(code, count_oom_kills() > trial.oom_kills))
            return
        if trial.ended:
            self._drop(trial)

    def _timed_out(self, trial: _Running) -> TrialEnd:
        self._drop(trial, kill=True)
        return TrialEnd(
            trial.trial_id, Failed("timeout", f"killed after {self._timeout:g} seconds")
        )

    def _drop(self, trial: _Running, kill: bool = False) -> int | None:
        """Sees to it that a trial's process ends; returns its exit code."""
        del self._running[trial.pipe]
        if kill:
            trial.process.kill()
        trial.process.join(GRACE)
        if trial.process.exitcode is None:
            trial.process.kill()
            trial.process.join(GRACE)
        code = trial.process.exitcode
        trial.pipe.close()
        if code is not None:
            trial.process.close()
        return code


def _unstartable(error: Exception) -> RunError:
    said = str(error) or type(error).__name__
    return RunError(
        f"a candidate's process cannot be started: {said} (--start-method spawn may do)"
    )


def _died(code: int | None, starved: bool) -> Failed:
    """What became of a trial whose process ended without a word."""
    if code == -signal.SIGKILL and starved:
        return Failed("out_of_memory", "killed by the system, which had no memory left")
    return Failed("crash", death(code))


def death(code: int | None) -> str:
    """Returns in words how a process ended.

    Args:
        code: its exit code; negative: the signal that killed it.
    """
    if code is None:
        return "its process hangs and cannot be killed"
    if code >= 0:
        return f"its process ended with exit code {code} in the middle of training"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    return f"killed by signal {-code} ({name})"


def _method(wanted: StartMethod) -> str:
    if wanted != "auto":
        return wanted
    available = multiprocessing.get_all_start_methods()
    return "forkserver" if "forkserver" in available and sys.platform != "darwin" else "spawn"


@contextmanager
def _without_main() -> Iterator[None]:
    """Hides the user's script from a starting process, which would run it again.

    So a plain script needs no ``if __name__ == "__main__"``, and a trial imports none of it.
    """
    with _MAIN:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
