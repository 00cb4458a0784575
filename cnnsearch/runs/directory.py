"""``runs/<name>/``: all that a run keeps on disk.

- ``run.json``: the manifest: what was asked, seed, versions, data; written once
- ``space.yaml``: the search space as it was read
- ``run.db``: every event (rundb.py): the truth
- ``lock``: who is writing (pid, host), empty when nobody is
- ``trials/<id>/``: checkpoints of one candidate
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
"""The ``reason`` of a ``run_ended`` event after which the run is to be resumed, not finished."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_RESERVED = ("mlartifacts", "mlflow.db")  # what MLflow keeps beside the runs


class _Metrics(BaseModel):
    test_accuracy: Finite | None = None


class _Results(BaseModel):
    """What an event ``results`` holds, as far as the list of runs shows it."""

    metrics: _Metrics


@dataclass(frozen=True)
class RunSummary:
    """A line of the list of runs; ``state`` is running, finished, interrupted or damaged.

    ``kind`` is search, final or fidelity; ``best`` the highest score, a final training's the test
    accuracy of its first winner.
    """

    name: str
    state: str
    trials: int = 0
    completed: int = 0
    best: float | None = None
    created: float | None = None
    kind: str = "search"


class RunDirectory:
    """The folder of one run, made by ``create`` and found again by ``open``."""

    def __init__(self, path: Path, manifest: Mapping[str, Any], space_text: str) -> None:
        """Takes what ``open`` has read; use ``create`` or ``open``."""
        self.path = path
        self.manifest = manifest
        self.space_text = space_text
        self.db = RunDatabase(path / "run.db")

    @property
    def name(self) -> str:
        """The run's name: its folder's."""
        return self.path.name

    @classmethod
    def create(
        cls, root: Path, name: str, manifest: Mapping[str, Any], space_text: str
    ) -> "RunDirectory":
        """Makes a run's folder, whole or not at all.

        Raises:
            RunError: If the name is not one, is taken, or the folder cannot be written.
        """
        path = _path(root, name)
        if path.exists():
            raise RunError(f"run {name!r} already exists in {root}")
        try:
            with atomic_folder(path) as folder:
                _fill(folder, manifest, space_text)
        except OSError as error:
            raise _unwritable(path if root.is_dir() else root, error) from error
        return cls.open(root, name)

    @classmethod
    def exists(cls, root: Path, name: str) -> bool:
        """Whether there is a run of this name.

        Raises:
            RunError: If the name is not one.
        """
        return (_path(root, name) / "run.json").is_file()

    @classmethod
    def open(cls, root: Path, name: str) -> "RunDirectory":
        """Finds a run again.

        Raises:
            RunError: If there is no such run (with the nearest names), or its files cannot be read.
        """
        path = _path(root, name)
        if not (path / "run.json").is_file():
            raise RunError(f"no run {name!r} in {root}{suggest(name, _names(root))}")
        try:
            for file in path.iterdir():
                check_own(file)
            manifest = Manifest.read(path / "run.json")
            space_text = read_own(path / "space.yaml")
        except (OSError, ValueError, RunError) as error:
            raise RunError(f"run {name!r}: cannot be read: {error}") from error
        return cls(path, manifest, space_text)

    def trial_dir(self, trial_id: str) -> Path:
        """Returns the folder of one trial's files, made if need be."""
        path = _inside(self.path / "trials", trial_id, "trial id")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from error
        return path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the run for writing.

        A lock whose process is gone (killed, or the machine restarted) is taken over.

        Raises:
            RunError: If another process holds it, naming that process.
        """
        with hold_lock(self.path / "lock", f"run {self.name!r}"):
            yield

    @property
    def owner(self) -> Owner | None:
        """The process that is writing this run, or None."""
        return read_owner(self.path / "lock")

    @property
    def state(self) -> str:
        """One of running, finished, interrupted (ended early: it can be resumed)."""
        if self.owner:
            return "running"
        event = self.db.get_last_event("run_")
        ended = event is not None and event.kind == "run_ended"
        return "finished" if event and ended and _final(event.data) else "interrupted"

    def summary(self) -> RunSummary:
        """Returns this run's line of the list of runs."""
        trials = self.db.get_trials()
        scores = [t.score for t in trials if t.status == "completed" and t.score is not None]
        first = self.db.get_events(limit=1)
        return RunSummary(
            self.name,
            self.state,
            trials=len(trials),
            completed=sum(t.status == "completed" for t in trials),
            best=self._tested() if self._kind == "final" else max(scores, default=None),
            created=first[0].time if first else None,
            kind=self._kind,
        )

    @property
    def _kind(self) -> str:
        return str(self.manifest.get("kind", "search"))

    def _tested(self) -> float | None:
        event = self.db.get_last_event("results")
        if event is None:
            return None
        where = f"{self.db.path}: results"
        return validate(_Results.model_validate, event.data, where).metrics.test_accuracy

    def close(self) -> None:
        """Closes the database's files."""
        self.db.close()


def list_runs(root: Path) -> list[RunSummary]:
    """Returns a summary of every run, by name; one that cannot be read is ``damaged``."""
    return [_summary(root, name) for name in _names(root)]


def _summary(root: Path, name: str) -> RunSummary:
    try:
        run = RunDirectory.open(root, name)
        try:
            return run.summary()
        finally:
            run.close()
    except RunError:
        return RunSummary(name, "damaged")


def _final(data: Mapping[str, Any]) -> bool:
    reason = str(data.get("reason"))
    return reason != INTERRUPTED and not reason.startswith("error")


def _names(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    found = (p.name for p in root.iterdir() if (p / "run.json").is_file())
    return sorted(name for name in found if _NAME.fullmatch(name) and not name.startswith("."))


def _path(root: Path, name: str) -> Path:
    if name in _RESERVED:
        raise RunError(f"run name {name!r} is MLflow's own beside the runs: choose another")
    return _inside(root, name, "run name")


def _inside(root: Path, name: str, what: str) -> Path:
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


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(f"{path}: cannot be written: {error.strerror or error}")
