"""Follows a run's database into MLflow from a thread of its own; the search never waits for it."""

import contextlib
import fcntl
import threading
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
_PAUSE = 1.0  # at least this long between two tries on a store that is down, in seconds
_LONGEST_PAUSE = 60.0
_BREATH = 0.5  # what happens within so many seconds is written together


def get_default_uri(runs_root: Path) -> str:
    """Returns the URI of the MLflow store that lies beside the runs."""
    return f"sqlite:///{runs_root.resolve() / 'mlflow.db'}"


class Tracker:
    """A thread that brings MLflow up to date with a run, again after every ``notify``.

    When the store does not answer, that is said once, tried again with growing pauses, and left to
    ``sync`` if the search ends first: the run's own database has everything.
    """

    def __init__(
        self,
        run: RunDirectory,
        uri: str | None = None,
        experiment: str = EXPERIMENT,
        on_message: Callable[[str], None] = print,
    ) -> None:
        """Prepares; ``on_message`` gets lines for the user, from the tracker's thread."""
        self._run, self._uri, self._experiment = run, uri, experiment
        self._say = on_message
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="mlflow", daemon=True)
        self._told = False

    def start(self) -> None:
        """Starts following; returns at once."""
        self._wake.set()
        self._thread.start()

    def notify(self) -> None:
        """Says that there are new events; never waits."""
        self._wake.set()

    def close(self, timeout: float = 30.0) -> bool:
        """Ends following, at most ``timeout`` seconds later; False if MLflow is left behind.

        A store that answers gets everything first; one that does not is given one last try.
        """
        self._closing.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        left = count_missing(self._run, self._uri, self._experiment)
        if left:
            self._say(
                f"MLflow lacks the last {left} events of run {self._run.name!r};"
                f" bring it up to date with: cnnsearch sync {self._run.name}"
            )
        return left == 0

    def _follow(self) -> None:
        pause, projection = _PAUSE, None
        monitors = self._monitors()
        while True:
            self._await_news(monitors)
            self._wake.clear()
            last = self._closing.is_set()
            try:
                with _writing(self._run):
                    projection = projection or _projection(
                        self._run, self._uri, self._experiment, self._say
                    )
                    while projection.step():
                        pause = _PAUSE
                    if last:
                        projection.reports()
                self._closing.wait(_BREATH)
            except Exception as error:  # whatever MLflow does, the search goes on
                projection = None
                self._tell(error)
                pause = self._rest(pause)
            if last:
                return

    def _await_news(self, monitors: load.Monitors | None) -> None:
        """Waits for events; what the monitors see meanwhile is one."""
        if not self._wake.wait(load.interval() if monitors else None) and monitors:
            with contextlib.suppress(RunError):  # a full disk, of which the search says more
                self._run.db.append("system", monitors.sample())

    def _monitors(self) -> load.Monitors | None:
        configure_mlflow()
        try:
            return load.Monitors() if load.asked() else None
        except TrackingError as error:
            self._say(str(error))
            return None

    def _rest(self, pause: float) -> float:
        self._closing.wait(pause)
        self._wake.set()
        return min(2 * pause, _LONGEST_PAUSE)

    def _tell(self, error: Exception) -> None:
        if not self._told:
            where = self._uri or "the store beside the runs"
            known = isinstance(error, TrackingError | RunError)
            why = str(error) if known else f"{type(error).__name__}: {error}"
            self._say(
                f"MLflow at {where} does not answer, the search goes on without it: "
                f"{' '.join(why.split())}"
            )
        self._told = True


def sync(
    run: RunDirectory,
    uri: str | None = None,
    experiment: str = EXPERIMENT,
    on_message: Callable[[str], None] = print,
) -> int:
    """Brings MLflow up to date with a run and returns the number of events that it lacked.

    What MLflow has already is not doubled; what was deleted there altogether is written again.

    Raises:
        TrackingError: If the store does not answer, or a running search is writing to it.
    """
    with _writing(run):
        projection = _projection(run, uri, experiment, on_message)
        missing = count_missing(run, uri, experiment)
        while projection.step():
            pass
        if run.state == "interrupted":
            projection.interrupted()
        projection.reports()
    return missing


def count_missing(run: RunDirectory, uri: str | None = None, experiment: str = EXPERIMENT) -> int:
    """Returns how many events of a run MLflow has not got yet; asks only the run's database."""
    return run.db.get_last_seq() - run.db.get_cursor(name_cursor(uri, experiment))


def name_cursor(uri: str | None, experiment: str) -> str:
    """Names the cursor of a store; the one beside the runs stays the same when the runs move."""
    return f"mlflow {uri or 'local'} {experiment}"


def _projection(
    run: RunDirectory, uri: str | None, experiment: str, on_message: Callable[[str], None]
) -> "Projection":
    configure_mlflow()
    from cnnsearch.runs.mlflow.projection import Projection
    from cnnsearch.runs.mlflow.store import Store

    root = run.path.parent
    store = Store(uri or get_default_uri(root), None if uri else root / "mlartifacts")
    return Projection(
        run,
        store,
        cursor=name_cursor(uri, experiment),
        experiment=experiment,
        on_message=on_message,
    )


@contextmanager
def _writing(run: RunDirectory) -> Iterator[None]:
    # Two projections of one run at once would make runs twice. POSIX locks, unlike flock, are not
    # inherited by forked trials.
    try:
        with (run.path / "mlflow.lock").open("w") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise TrackingError(
            f"run {run.name!r} is being written to MLflow by another process"
        ) from None
    except OSError as error:
        if error.filename != str(run.path / "mlflow.lock"):
            raise
        raise RunError(f"{error.filename}: cannot be written: {error.strerror}") from error
