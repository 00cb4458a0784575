"""Follows a run's database into MLflow from a thread; the search never waits for it."""

import contextlib
import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cnnsearch.errors import RunError, TrackingError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.mlflow import load
from cnnsearch.runs.mlflow.environment import configure_mlflow

if TYPE_CHECKING:
    from cnnsearch.runs.mlflow.projection import Projection

EXPERIMENT = "cnnsearch"
_THREAD = "mlflow"
_PAUSE = 1.0  # seconds before the first retry of a store that is down
_LONGEST_PAUSE = 60.0
_SHARE = 0.01  # of the time, at most, is spent on writing while a search runs
_SHORTEST_BATCH, _LONGEST_BATCH = 0.5, 10.0  # seconds: events within them are written together


def get_default_uri(runs_root: Path) -> str:
    """Returns the URI of the MLflow store beside the runs."""
    return f"sqlite:///{runs_root.resolve() / 'mlflow.db'}"


class Tracker:
    """A thread that updates MLflow from a run's database after every ``notify``.

    If the store does not answer, one message is reported and the thread retries with growing
    pauses. Events that are missing when the search ends are left to ``sync``.

    Args:
        run: to follow.
        uri: of the store; None: the one beside the runs.
        experiment: its name in MLflow.
        on_message: gets lines for the user, from the tracker's thread.
    """

    def __init__(
        self,
        run: RunDirectory,
        uri: str | None = None,
        experiment: str = EXPERIMENT,
        on_message: Callable[[str], None] = print,
    ) -> None:
        self._run, self._uri, self._experiment = run, uri, experiment
        self._on_message = on_message
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name=_THREAD, daemon=True)
        self._reported = False

    def start(self) -> None:
        """Starts following; returns at once."""
        self._wake.set()
        self._thread.start()

    def notify(self) -> None:
        """Signals new events; never waits."""
        self._wake.set()

    def close(self, timeout: float = 30.0) -> bool:
        """Ends the thread within ``timeout`` seconds; returns whether MLflow has all events.

        A store that answers gets everything first; one that does not gets one last attempt.
        """
        self._closing.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        left = count_missing(self._run, self._uri, self._experiment)
        if left:
            self._on_message(
                f"MLflow lacks the last {left} events of run {self._run.name!r};"
                f" write them with: cnnsearch sync {self._run.name}"
            )
        return left == 0

    def _follow(self) -> None:
        pause, projection = _PAUSE, None
        monitors = self._start_monitors()
        while True:
            self._await_events(monitors)
            self._wake.clear()
            last = self._closing.is_set()
            try:
                with _hold_projection(self._run):
                    projection = projection or _open_projection(
                        self._run, self._uri, self._experiment, self._on_message
                    )
                    since = time.thread_time()
                    while projection.step():
                        pause = _PAUSE
                    used = time.thread_time() - since
                    if last:
                        projection.upload_reports()
                self._closing.wait(min(max(used / _SHARE, _SHORTEST_BATCH), _LONGEST_BATCH))
            except Exception as error:  # whatever MLflow raises, the search continues
                projection = None
                self._report(error)
                pause = self._back_off(pause)
            if last:
                return

    def _await_events(self, monitors: load.Monitors | None) -> None:
        """Waits for events; samples of the monitors are events too."""
        if not self._wake.wait(load.get_interval() if monitors else None) and monitors:
            with contextlib.suppress(RunError):  # a full disk: the search reports it
                self._run.db.append("system", monitors.sample())

    def _start_monitors(self) -> load.Monitors | None:
        configure_mlflow()
        return load.Monitors() if load.is_enabled() else None

    def _back_off(self, pause: float) -> float:
        self._closing.wait(pause)
        self._wake.set()
        return min(2 * pause, _LONGEST_PAUSE)

    def _report(self, error: Exception) -> None:
        if not self._reported:
            where = self._uri or "the store beside the runs"
            known = isinstance(error, TrackingError | RunError)
            why = str(error) if known else f"{type(error).__name__}: {error}"
            self._on_message(
                f"MLflow at {where} does not answer, the search continues without it: "
                f"{' '.join(why.split())}"
            )
        self._reported = True


def is_following() -> bool:
    """Returns whether a tracker of this process is still writing, after its search too."""
    return any(thread.name == _THREAD for thread in threading.enumerate())


def sync(
    run: RunDirectory,
    uri: str | None = None,
    experiment: str = EXPERIMENT,
    on_message: Callable[[str], None] = print,
) -> int:
    """Writes the events of a run that MLflow lacks, and returns their number.

    A run that was deleted in MLflow is written again.

    Raises:
        TrackingError: the store does not answer, or a running search is writing to it.
    """
    with _hold_projection(run):
        projection = _open_projection(run, uri, experiment, on_message)
        missing = count_missing(run, uri, experiment)
        while projection.step():
            pass
        if run.state == "interrupted":
            projection.mark_interrupted()
        projection.upload_reports()
    return missing


def count_missing(run: RunDirectory, uri: str | None = None, experiment: str = EXPERIMENT) -> int:
    """Returns the number of events that MLflow lacks, according to the run's database."""
    return run.db.get_last_seq() - run.db.get_cursor(name_cursor(uri, experiment))


def name_cursor(uri: str | None, experiment: str) -> str:
    """Returns the cursor name of a store; for the local one it does not depend on the path."""
    return f"mlflow {uri or 'local'} {experiment}"


def _open_projection(
    run: RunDirectory, uri: str | None, experiment: str, on_message: Callable[[str], None]
) -> "Projection":
    configure_mlflow()
    from cnnsearch.runs.mlflow.projection import Projection
    from cnnsearch.runs.mlflow.store import Store

    root = run.path.parent
    store = Store(uri or get_default_uri(root), None if uri else root / "mlartifacts")
    cursor = name_cursor(uri, experiment)
    return Projection(run, store, cursor=cursor, experiment=experiment, on_message=on_message)


@contextmanager
def _hold_projection(run: RunDirectory) -> Iterator[None]:
    # Two projections of one run at once would create its MLflow runs twice. POSIX locks, unlike
    # flock, are not inherited by forked trials.
    try:
        with (run.path / "mlflow.lock").open("w") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        why = f"run {run.name!r} is being written to MLflow by another process"
        raise TrackingError(why) from None
    except OSError as error:
        if error.filename != str(run.path / "mlflow.lock"):
            raise
        raise RunError(f"{error.filename}: cannot be written: {error.strerror}") from error
