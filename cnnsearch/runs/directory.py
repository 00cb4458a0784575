"""``runs/<name>/``: everything that a run keeps on disk.

- ``run.json``: the manifest: settings, seed, versions, data; written once
- ``space.yaml``: the search space as it was read
- ``run.db``: every event (database.py): the source of truth
- ``lock``: the process that writes (lock.py), empty if there is none
- ``trials/<id>/``: checkpoints of one candidate
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cnnsearch.errors import RunError, suggest
from cnnsearch.runs.database import RunDatabase
from cnnsearch.runs.lock import Owner, hold_lock, read_owner
from cnnsearch.runs.manifest import Manifest, check_own, read_own
from cnnsearch.runs.records import Finite, to_json, validate
from cnnsearch.utils.atomic_files import atomic_folder

INTERRUPTED = "interrupted"
"""The ``reason`` of a ``run_ended`` event after which a run can be resumed."""
CLOSING_SECONDS = "closing_seconds"
"""The mapping with the time that MLflow took to catch up, by the ``seq`` of each ``run_ended``."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_RESERVED = ("mlartifacts", "mlflow.db")  # MLflow's files beside the runs


class _Metrics(BaseModel):
    test_accuracy: Finite | None = None


class _Results(BaseModel):
    """The part of a ``results`` event that the list of runs shows."""

    metrics: _Metrics


@dataclass(frozen=True)
class RunSummary:
    """A line of the list of runs.

    Attributes:
        state: running, finished, interrupted or damaged.
        best: the highest score; of a final training, the test accuracy of its first winner.
        created: Unix seconds.
        kind: search, final or fidelity.
        space: name of the space; empty: it has none.
        data: the source of the images.
    """

    name: str
    state: str
    trials: int = 0
    completed: int = 0
    best: float | None = None
    created: float | None = None
    kind: str = "search"
    space: str = ""
    data: str = ""


class RunDirectory:
    """The folder of one run; use ``create`` or ``open``."""

    def __init__(self, path: Path, manifest: Mapping[str, Any], space_text: str) -> None:
        self.path = path
        self.manifest = manifest
        self.space_text = space_text
        self.db = RunDatabase(path / "run.db")

    @property
    def name(self) -> str:
        """The name of the run and of its folder."""
        return self.path.name

    @classmethod
    def create(
        cls, root: Path, name: str, manifest: Mapping[str, Any], space_text: str
    ) -> "RunDirectory":
        """Creates a run's folder, atomically.

        Raises:
            RunError: the name is invalid or taken, or the folder cannot be written.
        """
        path = _run_path(root, name)
        if path.exists():
            raise RunError(f"run {name!r} already exists in {root}")
        try:
            with atomic_folder(path) as folder:
                _fill(folder, manifest, space_text)
        except OSError as error:
            raise _write_error(path if root.is_dir() else root, error) from error
        return cls.open(root, name)

    @classmethod
    def exists(cls, root: Path, name: str) -> bool:
        """Returns whether there is a run of this name; raises RunError if the name is invalid."""
        return (_run_path(root, name) / "run.json").is_file()

    @classmethod
    def open(cls, root: Path, name: str) -> "RunDirectory":
        """Opens an existing run.

        Raises:
            RunError: there is no such run (suggests names), or its files cannot be read.
        """
        path = _run_path(root, name)
        if not (path / "run.json").is_file():
            raise RunError(f"no run {name!r} in {root}{suggest(name, list_names(root))}")
        try:
            for file in path.iterdir():
                check_own(file)
            manifest = Manifest.read(path / "run.json")
            space_text = read_own(path / "space.yaml")
        except (OSError, ValueError, RunError) as error:
            raise RunError(f"run {name!r}: cannot be read: {error}") from error
        return cls(path, manifest, space_text)

    def trial_dir(self, trial_id: str) -> Path:
        """Returns the folder of one trial's files, creating it if necessary."""
        path = _join(self.path / "trials", trial_id, "trial id")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _write_error(path, error) from error
        return path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the run for writing.

        The lock of a process that is gone (killed, or the machine restarted) is taken over.

        Raises:
            RunError: another process holds it; names that process.
        """
        with hold_lock(self.path / "lock", f"run {self.name!r}"):
            yield

    @property
    def owner(self) -> Owner | None:
        """The living process that writes this run, or None."""
        return read_owner(self.path / "lock")

    @property
    def state(self) -> str:
        """Running, finished, or interrupted (can be resumed)."""
        if self.owner:
            return "running"
        event = self.db.get_last_event("run_")
        ended = event is not None and event.kind == "run_ended"
        return "finished" if event and ended and _is_final(event.data) else "interrupted"

    def summarize(self) -> RunSummary:
        """Returns this run's line in the list of runs."""
        trials = self.db.get_trials()
        scores = [t.score for t in trials if t.status == "completed" and t.score is not None]
        first = self.db.get_events(limit=1)
        return RunSummary(
            self.name,
            self.state,
            trials=len(trials),
            completed=sum(t.status == "completed" for t in trials),
            best=self._test_accuracy() if self._kind == "final" else max(scores, default=None),
            created=first[0].time if first else None,
            kind=self._kind,
            space=str(self.manifest.get("space") or ""),
            data=str(self.manifest.get("data") or ""),
        )

    @property
    def _kind(self) -> str:
        return str(self.manifest.get("kind", "search"))

    def _test_accuracy(self) -> float | None:
        event = self.db.get_last_event("results")
        if event is None:
            return None
        where = f"{self.db.path}: results"
        return validate(_Results.model_validate, event.data, where).metrics.test_accuracy

    def close(self) -> None:
        """Closes the database's files."""
        self.db.close()


def list_runs(root: Path) -> list[RunSummary]:
    """Returns a summary of every run, by name; unreadable ones are ``damaged``."""
    return [_summarize(root, name) for name in list_names(root)]


def _summarize(root: Path, name: str) -> RunSummary:
    try:
        with closing(RunDirectory.open(root, name)) as run:
            return run.summarize()
    except RunError:
        return RunSummary(name, "damaged")


def _is_final(data: Mapping[str, Any]) -> bool:
    reason = str(data.get("reason"))
    return reason != INTERRUPTED and not reason.startswith("error")


def list_names(root: Path) -> list[str]:
    """Returns the names of the runs in a folder, without opening them."""
    if not root.is_dir():
        return []
    found = (p.name for p in root.iterdir() if (p / "run.json").is_file())
    return sorted(name for name in found if _NAME.fullmatch(name) and not name.startswith("."))


def _run_path(root: Path, name: str) -> Path:
    if name in _RESERVED:
        raise RunError(f"run name {name!r} is MLflow's own beside the runs: choose another")
    return _join(root, name, "run name")


def _join(root: Path, name: str, what: str) -> Path:
    if not _NAME.fullmatch(name) or name.startswith((".", "-")) or len(name) > 128:
        raise RunError(
            f"{what} {name!r}: must be letters, digits, '.', '_' and '-', at most 128,"
            " and begin with a letter, a digit or '_'"
        )
    path = root / name
    if path.resolve() != root.resolve() / name:
        raise RunError(f"{what} {name!r}: {path} leads outside {root}")
    return path


def _fill(folder: Path, manifest: Mapping[str, Any], space_text: str) -> None:
    text = json.dumps(json.loads(to_json(manifest)), indent=2) + "\n"
    (folder / "run.json").write_text(text, "utf-8")
    (folder / "space.yaml").write_text(space_text, "utf-8")
    RunDatabase.create(folder / "run.db").close()


def _write_error(path: Path, error: OSError) -> RunError:
    return RunError(f"{path}: cannot be written: {error.strerror or error}")
