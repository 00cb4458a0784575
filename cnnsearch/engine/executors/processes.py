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
"""Seconds that a process has to exit after its last message or a kill."""
START_ATTEMPTS = 5
START_PAUSE = 0.3
"""Attempts to start a process, with that many seconds more between them each time."""
_MAIN = threading.Lock()


@dataclass
class _Running:
    """A trial that is being trained."""

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
    """Runs each trial in a process of its own, so that a crash ends nothing else.

    A forked process starts in milliseconds where a spawned one imports for seconds. What a trial
    prints goes to ``trial.log`` in its folder. Trials end when the driver does, however it ends.

    Args:
        slots: trials in parallel; each gets an equal share of the cores.
        timeout: seconds after which a trial is killed; None: never.
        start_method: ``auto`` forks from a server where the system can, otherwise spawns.
        gpus: one for each slot, evenly; empty: every trial sees all.
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
        self._context: Any = multiprocessing.get_context(_choose_method(start_method))
        if self._context.get_start_method() == "forkserver":
            self._context.set_forkserver_preload(["cnnsearch.engine.executors.preload"])
        self._running: dict[Connection, _Running] = {}

    def warm(self) -> None:
        """Starts the fork server, which imports the frameworks in the background."""
        if self._context.get_start_method() == "forkserver":
            with _hide_main():
                forkserver.ensure_running()

    @property
    def free(self) -> int:
        """The number of free slots."""
        return self._slots - len(self._running)

    def submit(self, task: TrialTask) -> None:
        """Starts the trial's process."""
        if not self.free:
            raise RuntimeError("no slot is free")
        gpu, kills = self._free_gpu(), count_oom_kills()
        child_task = ChildTask(
            task.trial_id, task.directory, pickle.dumps(task), self._threads, gpu
        )
        process, pipe = self._start_process(child_task)
        self._running[pipe] = _Running(
            task.trial_id, process, pipe, self._make_deadline(), gpu, kills
        )

    def _start_process(self, child_task: ChildTask) -> tuple[BaseProcess, Connection]:
        """Starts a trial's process, and the fork server again if that was killed."""
        for attempt in range(1, START_ATTEMPTS + 1):
            ours, theirs = self._context.Pipe()
            process = self._context.Process(
                target=self._target,
                args=(theirs, child_task),
                name=f"cnnsearch trial {child_task.trial_id}",
                daemon=True,
            )
            try:
                with _hide_main():
                    process.start()
                break
            except (EOFError, OSError) as error:
                ours.close()
                if attempt == START_ATTEMPTS:
                    raise _explain_start_error(error) from None
                time.sleep(START_PAUSE * attempt)  # a dying fork server does not look dead yet
            finally:
                theirs.close()
        return process, ours

    def _free_gpu(self) -> str | None:
        """Returns the GPU with the fewest trials."""
        if not self._gpus:
            return None
        used = Counter(trial.gpu for trial in self._running.values())
        return min(self._gpus, key=lambda gpu: used[gpu])

    def _make_deadline(self) -> float | None:
        return None if self._timeout is None else time.monotonic() + self._timeout

    def poll(self, timeout: float) -> list[Event]:
        """Returns the events of all trials; waits for one, at most ``timeout`` seconds."""
        until = time.monotonic() + timeout
        events: list[Event] = []
        while self._running and not events:
            left = until - time.monotonic()
            for pipe in wait(list(self._running), max(0.0, min(left, self._compute_timeout()))):
                events += self._receive(self._running[pipe])  # type: ignore[index]
            events += [self._time_out(trial) for trial in self._find_overdue()]
            if left <= 0:
                break
        return events

    def cancel(self, trial_id: str) -> None:
        """Kills the trial's process."""
        for trial in list(self._running.values()):
            if trial.trial_id == trial_id:
                self._release(trial, kill=True)

    def close(self) -> None:
        """Kills all trials' processes."""
        for trial in self._running.values():
            trial.process.kill()
        for trial in list(self._running.values()):
            self._release(trial, kill=True)

    def _compute_timeout(self) -> float:
        """Returns the seconds until the first deadline."""
        deadlines = [t.deadline for t in self._running.values() if t.deadline is not None]
        return max(0.0, min(deadlines) - time.monotonic()) + 1e-3 if deadlines else 3600.0

    def _find_overdue(self) -> list[_Running]:
        return [trial for trial in self._running.values() if trial.overdue]

    def _receive(self, trial: _Running) -> Iterator[Event]:
        """Yields the events that a trial has sent; if its process died, the end of the trial."""
        try:
            while trial.pipe.poll():
                event = trial.pipe.recv()
                trial.ended = trial.ended or isinstance(event, TrialEnd)
                if isinstance(
                    event, Waiting
                ):  # for disk space, which does not count against the timeout
                    trial.deadline = self._make_deadline()
                yield event
        except (EOFError, OSError, pickle.UnpicklingError):
            code = self._release(trial)
            if not trial.ended:
                yield TrialEnd(
                    trial.trial_id, _explain_death(code, count_oom_kills() > trial.oom_kills)
                )
            return
        if trial.ended:
            self._release(trial)

    def _time_out(self, trial: _Running) -> TrialEnd:
        self._release(trial, kill=True)
        return TrialEnd(
            trial.trial_id, Failed("timeout", f"killed after {self._timeout:g} seconds")
        )

    def _release(self, trial: _Running, kill: bool = False) -> int | None:
        """Frees a trial's slot, ends its process, and returns the exit code."""
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


def _explain_start_error(error: Exception) -> RunError:
    cause = str(error) or type(error).__name__
    return RunError(
        f"a candidate's process cannot be started: {cause} (--start-method spawn may work)"
    )


def _explain_death(code: int | None, starved: bool) -> Failed:
    """Returns why a process ended without an outcome."""
    if code == -signal.SIGKILL and starved:
        return Failed("out_of_memory", "out-of-memory kill by the system, which had no memory left")
    return Failed("crash", describe_exit(code))


def describe_exit(code: int | None) -> str:
    """Returns how a process ended; a negative code is the signal that killed it."""
    if code is None:
        return "its process hangs and cannot be killed"
    if code >= 0:
        return f"its process ended with exit code {code} in the middle of training"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    return f"killed by signal {-code} ({name})"


def _choose_method(wanted: StartMethod) -> str:
    if wanted != "auto":
        return wanted
    available = multiprocessing.get_all_start_methods()
    return "forkserver" if "forkserver" in available and sys.platform != "darwin" else "spawn"


@contextmanager
def _hide_main() -> Iterator[None]:
    """Hides the user's script from a new process, which would otherwise run it again.

    So a script needs no ``if __name__ == "__main__"``, and a trial imports nothing of it.
    """
    with _MAIN:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
