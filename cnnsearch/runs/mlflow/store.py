"""An MLflow store with the few operations that a projection needs.

It uses clients with an explicit URI, not the fluent API, which would disturb an MLflow run of the
user's own in this process. Importing MLflow takes two seconds: import this module where needed.
"""

import fcntl
import logging
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
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
    """The store does not answer: retry later."""


class Refused(TrackingError):
    """The store rejects a request for good."""


class Store:
    """An MLflow tracking store.

    Args:
        uri: of the store; a missing SQLite store is created.
        artifacts: folder for the artifacts of new experiments; None: the store's default.

    Raises:
        Unreachable: from every method: the store does not answer.
        Refused: from every method: the store rejects the request.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        for name in ("mlflow", "alembic"):  # their INFO lines would break up the live display
            logging.getLogger(name).setLevel(logging.ERROR)
        self._artifacts = artifacts
        self._client = _translate_errors(lambda: _connect(uri))

    def call(self, request: Callable[[MlflowClient], _R]) -> _R:
        """Sends a request of MLflow's client."""
        return _translate_errors(lambda: request(self._client))

    def ensure_experiment(self, name: str) -> str:
        """Returns the id of an experiment, creating it if necessary."""
        found = self.call(lambda client: client.get_experiment_by_name(name))
        if found is None:
            location = self._artifacts.resolve().as_uri() if self._artifacts else None
            return str(self.call(lambda client: client.create_experiment(name, location)))
        if found.lifecycle_stage != "active":
            raise Refused(
                f"MLflow experiment {name!r} was deleted: restore it in MLflow or choose another"
            )
        return str(found.experiment_id)

    def tag_experiment(self, experiment: str, key: str, value: str) -> None:
        """Sets a tag of an experiment if it differs."""
        if self.call(lambda client: client.get_experiment(experiment)).tags.get(key) != value:
            self.call(lambda client: client.set_experiment_tag(experiment, key, value))

    def find_run(self, experiment: str, tags: Mapping[str, str]) -> str | None:
        """Returns the id of the run with these tags, or None."""
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        runs = self.call(lambda client: client.search_runs([experiment], query, max_results=1))
        return str(runs[0].info.run_id) if runs else None

    def is_active(self, run: str) -> bool:
        """Returns whether a run exists and has not been deleted."""
        try:
            return bool(self._client.get_run(run).info.lifecycle_stage == "active")
        except MlflowException as error:
            if error.error_code in _MISSING:
                return False
            raise _translate(error) from error

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str], time: int) -> str:
        """Creates a run and returns its id."""
        run = self.call(lambda client: client.create_run(experiment, time, dict(tags), name))
        return str(run.info.run_id)

    def write(
        self,
        run: str,
        points: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Writes points, parameters and tags; exact repetitions are not stored twice."""
        metrics = [Metric(p.key, p.value, p.time, p.step) for p in points]
        settings = [Param(*item) for item in (params or {}).items()]
        labels = [RunTag(*item) for item in (tags or {}).items()]
        while metrics or settings or labels:  # mostly one batch: each is a transaction in MLflow
            room = _METRICS - len(settings[:_PARAMS]) - len(labels[:_PARAMS])
            batch = (metrics[:room], settings[:_PARAMS], labels[:_PARAMS])
            self.call(partial(_log_batch, run=run, batch=batch))
            metrics, settings, labels = metrics[room:], settings[_PARAMS:], labels[_PARAMS:]

    def set_status(self, run: str, status: str, time: int | None = None) -> None:
        """Sets a run's status: RUNNING, or ended at ``time`` as FINISHED, FAILED or KILLED."""
        if time is None:
            self.call(lambda client: client.update_run(run, status=status))
        else:
            self.call(lambda client: client.set_terminated(run, status, time))

    def upload_texts(self, run: str, texts: Mapping[str, str]) -> None:
        """Uploads texts as artifacts, by name."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in texts.items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
            self._upload(" and ".join(texts), lambda c: c.log_artifacts(run, folder))

    def upload_file(self, run: str, path: Path) -> None:
        """Uploads a file as an artifact."""
        self._upload(path.name, lambda client: client.log_artifact(run, str(path)))

    def _upload(self, names: str, upload: Callable[[MlflowClient], None]) -> None:
        try:
            upload(self._client)
        except (MlflowException, RequestException) as error:
            raise _translate(error) from error
        except Exception as error:  # a disk, or the client of a cloud is not installed
            raise Refused(f"artifact {names}: {_describe(error)}") from error

    def log_dataset(self, run: str, name: str, digest: str, source: str, profile: str) -> None:
        """Records the data set of a run."""
        entry = Dataset(name, digest[:36], "cnnsearch", source, profile=profile)
        context = [InputTag("mlflow.data.context", "training")]
        self.call(lambda client: client.log_inputs(run, [DatasetInput(entry, context)]))


def _log_batch(client: MlflowClient, run: str, batch: tuple[Any, Any, Any]) -> None:
    client.log_batch(run, *batch)


def _connect(uri: str) -> MlflowClient:
    if not uri.startswith("sqlite:///"):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)
    path = Path(uri.removeprefix("sqlite:///"))
    with _hold_lock(path.with_name(f"{path.name}.lock")):
        if not path.exists():
            _create_sqlite(path)
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _create_sqlite(path: Path) -> None:
    # Under another name, then renamed: MLflow creates its tables in many transactions, and a kill
    # between them leaves a store that it refuses.
    for left in path.parent.glob(f"{path.name}.*.new*"):
        left.unlink()
    # Never the same name twice: MLflow caches connections by name, also failed ones.
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.new")
    client = MlflowClient(f"sqlite:///{temporary}", f"sqlite:///{temporary}")
    client._tracking_client.store.engine.dispose()
    replace_file(temporary, path)


@contextmanager
def _hold_lock(path: Path) -> Iterator[None]:
    # Searches that start at the same time would race MLflow's creation of its tables.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise Unreachable(f"{path.parent}: {error.strerror or error}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _translate_errors(request: Callable[[], _R]) -> _R:
    try:
        return request()
    except TrackingError:
        raise
    except Exception as error:  # MLflow passes on those of SQLAlchemy, requests and S3 clients
        raise _translate(error) from error


_CAUSES = {
    "Connection refused": "nothing listens there (connection refused)",
    "timed out": "no answer in time",
    "Name or service not known": "there is no such host",
    "name resolution": "its name cannot be resolved",
    "Connection reset": "it closes the connection",
    "Remote end closed": "it closes the connection",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted",
}
_PLACE = re.compile(r"API request to (\w+://[^/\s]+)|host='([^']+)', port=(\d+)")


def _describe(error: Exception) -> str:
    text = str(getattr(error, "strerror", None) or error)
    place = _PLACE.search(text)
    cause = next((words for sign, words in _CAUSES.items() if sign in text), None)
    if place and cause:  # the message of requests takes several lines
        return f"{place[1] or f'{place[2]}:{place[3]}'}: {cause}"
    return text.strip().split("\n", 1)[0][:300] or type(error).__name__


def _translate(error: Exception) -> TrackingError:
    line = _describe(error)
    code = getattr(error, "error_code", None)
    return Refused(line) if code in (*_REFUSALS, *_MISSING) else Unreachable(line)
