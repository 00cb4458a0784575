"""The one door to MLflow: the few writes a projection needs, on one store, quietly.

Only clients with an explicit URI, no fluent API: an MLflow run of the user's own in this process
is not disturbed. Imports MLflow (about two seconds): import this module where it is needed.
"""

import fcntl
import logging
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from requests import RequestException

from cnnsearch.errors import TrackingError
from cnnsearch.runs.mlflow.entries import Point
from cnnsearch.utils.atomic_files import replace_file

_R = TypeVar("_R")
_REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS")
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
_PARAMS, _METRICS = 100, 1000  # what MLflow takes in one batch


class Unreachable(TrackingError):
    """The store does not answer now: what was to be written is to be tried again."""


class Refused(TrackingError):
    """The store answers that it will never take this."""


class Store:
    """An MLflow tracking store.

    Raises:
        Unreachable: From every method, when the store does not answer.
        Refused: From every method, when it will not take what it was given.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        """Connects; a SQLite store is made if need be, its artifacts under ``artifacts``."""
        for name in ("mlflow", "alembic"):  # their INFO lines would run into the live display
            logging.getLogger(name).setLevel(logging.ERROR)
        self._artifacts = artifacts
        self._client = _ask(lambda: _connect(uri))

    def ask(self, question: Callable[[MlflowClient], _R]) -> _R:
        """Asks MLflow's client for what only a few need."""
        return _ask(lambda: question(self._client))

    def experiment(self, name: str) -> str:
        """Returns the id of the experiment, made if need be."""
        found = _ask(lambda: self._client.get_experiment_by_name(name))
        if found is None:
            location = self._artifacts.resolve().as_uri() if self._artifacts else None
            return str(_ask(lambda: self._client.create_experiment(name, location)))
        if found.lifecycle_stage != "active":
            raise Refused(
                f"MLflow experiment {name!r} was deleted: restore it in MLflow or choose another"
            )
        return str(found.experiment_id)

    def tag_experiment(self, experiment: str, key: str, value: str) -> None:
        """Sets a tag of the experiment, unless it is already so."""
        if _ask(lambda: self._client.get_experiment(experiment)).tags.get(key) != value:
            _ask(lambda: self._client.set_experiment_tag(experiment, key, value))

    def find(self, experiment: str, tags: Mapping[str, str]) -> str | None:
        """Returns the id of the run that has these tags, None if there is none."""
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        runs = _ask(lambda: self._client.search_runs([experiment], query, max_results=1))
        return str(runs[0].info.run_id) if runs else None

    def alive(self, run: str) -> bool:
        """Says whether there is such a run, and it has not been deleted."""
        try:
            return bool(self._client.get_run(run).info.lifecycle_stage == "active")
        except MlflowException as error:
            if error.error_code in _MISSING:
                return False
            raise _translated(error) from error

    def create(self, experiment: str, name: str, tags: Mapping[str, str], time: int) -> str:
        """Makes a run and returns its id."""
        run = _ask(lambda: self._client.create_run(experiment, time, dict(tags), name))
        return str(run.info.run_id)

    def write(
        self,
        run: str,
        points: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Writes points, parameters and tags; what is already there exactly so stays single."""
        metrics = [Metric(p.key, p.value, p.time, p.step) for p in points]
        settings = [Param(*item) for item in (params or {}).items()]
        labels = [RunTag(*item) for item in (tags or {}).items()]
        while metrics or settings or labels:  # mostly once: each call is a transaction there
            room = _METRICS - len(settings[:_PARAMS]) - len(labels[:_PARAMS])
            self._log(
                run,
                metrics=metrics[:room],
                params=settings[:_PARAMS],
                tags=labels[:_PARAMS],
            )
            metrics, settings, labels = metrics[room:], settings[_PARAMS:], labels[_PARAMS:]

    def _log(self, run: str, **entities: Any) -> None:
        _ask(lambda: self._client.log_batch(run, **entities))

    def status(self, run: str, status: str, time: int | None = None) -> None:
        """Sets a run's status: RUNNING, or ended at ``time`` as FINISHED, FAILED or KILLED."""
        if time is None:
            _ask(lambda: self._client.update_run(run, status=status))
        else:
            _ask(lambda: self._client.set_terminated(run, status, time))

    def texts(self, run: str, texts: Mapping[str, str]) -> None:
        """Writes artifacts, by their names."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in texts.items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
            self._upload(" and ".join(texts), lambda c: c.log_artifacts(run, folder))

    def file(self, run: str, path: Path) -> None:
        """Writes an artifact that is a file already."""
        self._upload(path.name, lambda client: client.log_artifact(run, str(path)))

    def _upload(self, names: str, upload: Callable[[MlflowClient], None]) -> None:
        try:
            upload(self._client)
        except (MlflowException, RequestException) as error:
            raise _translated(error) from error
        except Exception as error:  # a disk, or a cloud's client that is not installed
            raise Refused(f"artifact {names}: {_line(error)}") from error

    def dataset(self, run: str, name: str, digest: str, source: str, profile: str) -> None:
        """Names the data set that a run was trained on."""
        entry = Dataset(name, digest[:36], "cnnsearch", source, profile=profile)
        context = [InputTag("mlflow.data.context", "training")]
        _ask(lambda: self._client.log_inputs(run, [DatasetInput(entry, context)]))


def _connect(uri: str) -> MlflowClient:
    if not uri.startswith("sqlite:///"):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)
    path = Path(uri.removeprefix("sqlite:///"))
    with _alone(path.with_name(f"{path.name}.lock")):
        if not path.exists():
            _make(path)
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _make(path: Path) -> None:
    """Makes a store under another name and renames it."""
    # MLflow makes its tables in many transactions: a kill in between leaves a store it refuses.
    for left in path.parent.glob(f"{path.name}.*.new*"):
        left.unlink()
    # Never the same name twice: MLflow remembers its connections by it, also those that failed.
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.new")
    client = MlflowClient(f"sqlite:///{beside}", f"sqlite:///{beside}")
    client._tracking_client.store.engine.dispose()
    replace_file(beside, path)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    # Searches that start together would race MLflow's creation of its tables.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise Unreachable(f"{path.parent}: {error.strerror or error}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _ask(question: Callable[[], _R]) -> _R:
    try:
        return question()
    except TrackingError:
        raise
    except Exception as error:  # MLflow lets through what SQLAlchemy, requests, S3 clients raise
        raise _translated(error) from error


_CAUSES = {
    "Connection refused": "nothing listens there (connection refused)",
    "timed out": "no answer in time",
    "Name or service not known": "there is no such host",
    "name resolution": "its name cannot be resolved",
    "Connection reset": "it ends the connection",
    "Remote end closed": "it ends the connection",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted",
}
_PLACE = re.compile(r"API request to (\w+://[^/\s]+)|host='([^']+)', port=(\d+)")


def _line(error: Exception) -> str:
    text = str(getattr(error, "strerror", None) or error)
    place = _PLACE.search(text)
    cause = next((words for sign, words in _CAUSES.items() if sign in text), None)
    if place and cause:  # what requests says of it takes several lines
        return f"{place[1] or f'{place[2]}:{place[3]}'}: {cause}"
    return text.strip().split("\n", 1)[0][:300] or type(error).__name__


def _translated(error: Exception) -> TrackingError:
    line = _line(error)
    code = getattr(error, "error_code", None)
    return Refused(line) if code in (*_REFUSALS, *_MISSING) else Unreachable(line)
