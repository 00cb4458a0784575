"""The run of a final training: made, trained, evaluated once, shown; or gone on with."""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch import machine
from cnnsearch.data import Dataset
from cnnsearch.display import Quiet
from cnnsearch.driver import Assignment, Driver, Planned
from cnnsearch.errors import RunError
from cnnsearch.executor import create_executor
from cnnsearch.final.metrics import test_metrics
from cnnsearch.final.plan import WINNER, Entrant, numbered
from cnnsearch.final.predicting import FILE, Task, predict
from cnnsearch.final.summary import Row, entrants_of, evaluated, rows, write_results
from cnnsearch.oracles.fixed import FixedList
from cnnsearch.oracles.types import Proposal
from cnnsearch.records import TrialRecord
from cnnsearch.rundir import INTERRUPTED, RunDirectory
from cnnsearch.settings import (
    Settings,
    check_same_data,
    class_weights,
    load_data,
    manifest,
    pixel_statistics,
)
from cnnsearch.space import SearchSpace
from cnnsearch.starting import pretrained_of
from cnnsearch.tracking import Tracker
from cnnsearch.watcher import Overview, Watcher

KIND = "final"


@dataclass(frozen=True)
class FinalResult:
    """How a final training ended.

    Attributes:
        run: the run's folder and database.
        reason: why it ended: trials (all are trained and evaluated), time or interrupted.
        rows: a line for each network.
    """

    run: RunDirectory
    reason: str
    rows: tuple[Row, ...]


def create(
    root: Path,
    name: str,
    settings: Settings,
    data: Dataset,
    entrants: Sequence[Entrant],
    asked: Mapping[str, Any],
) -> RunDirectory:
    """Makes the run's folder.

    Args:
        root: the folder of all runs.
        name: of this one.
        settings: of the search whose winners are trained, as they are to be for this training.
        data: with its validation split.
        entrants: what is trained.
        asked: what decides the outcome, so that going on with something else can be refused.
    """
    record = manifest(asked["from"], settings, data)
    final = {**asked, "entrants": [entrant.to_data() for entrant in entrants]}
    record = {**record, "kind": KIND, "strategy": KIND, KIND: final}
    return RunDirectory.create(root, name, record, settings.space)


def check_same_request(run: RunDirectory, asked: Mapping[str, Any]) -> None:
    """Refuses to go on with another training than the run was begun with."""
    if run.manifest.get("kind") != KIND:
        raise RunError(f"run {run.name!r} is a search, not a final training: choose another --name")
    began = run.manifest[KIND]
    for key, value in asked.items():
        if began[key] != value:
            flag = {"from": "which network or --run", "changes": "--set"}.get(key, f"--{key}")
            raise RunError(
                f"run {run.name!r} was begun with another value of {flag}: {began[key]!r}, "
                f"now {value!r}; choose another --name"
            )


def run_final(
    run: RunDirectory, watcher: Watcher | None = None, workers: int | None = None
) -> FinalResult:
    """Trains what is not yet trained, evaluates what is not yet evaluated, writes the results."""
    asked = dict(run.manifest["settings"])
    settings = Settings(space=run.space_text, **asked)
    settings = settings if workers is None else replace(settings, workers=workers)
    watcher = watcher or Quiet()
    machine.settle_backend()
    space = SearchSpace.from_text(run.space_text, settings.source)
    data = load_data(settings, space, run.path.parent)
    with run.lock():
        check_same_data(run, data)
        session = _Session(run, settings, space, data, watcher)
        reason = session.train()
        if reason == "trials":
            session.evaluate()
        session.end(reason)
    return FinalResult(run, reason, tuple(rows(run)))


class _Session:
    """One session; the caller holds the run's lock."""

    def __init__(
        self,
        run: RunDirectory,
        settings: Settings,
        space: SearchSpace,
        data: Dataset,
        watcher: Watcher,
    ) -> None:
        self._run, self._settings, self._space, self._data = run, settings, space, data
        self._watcher = watcher
        self._final: Mapping[str, Any] = run.manifest[KIND]
        self._entrants = entrants_of(run)
        self._train_on = data if self._final["hold-out"] else data.joined()
        self._tracker = Tracker(run, settings.mlflow_uri, on_message=watcher.note)

    def train(self) -> str:
        """Trains what is left; returns why it ended."""
        self._begin()
        executor = create_executor(self._settings.workers, timeout=self._settings.trial_timeout)
        try:
            left = self._left()
            if not left:
                return "trials"
            executor.warm()
            machine.import_frameworks()
            driver = Driver(
                self._run, FixedList(left), executor, self._assignment(), self._watcher,
                self._tracker,
            )  # fmt: skip
            return driver.search()
        except BaseException:
            self.end(INTERRUPTED)
            raise
        finally:
            executor.close()
            self._watcher.stop()

    def _begin(self) -> None:
        resumed = self._run.db.last("run_") is not None
        environment = machine.environment()
        self._run.db.append("run_started", {"resumed": resumed, "environment": environment})
        self._tracker.start()
        if self._left():
            self._watcher.begin(self._overview())

    def _left(self) -> list[Proposal]:
        """The trainings that have no end yet, those that were running among them."""
        ended = {t.id for t in self._run.db.trials() if t.status in ("completed", "failed")}
        plan = numbered(self._entrants, self._final["seeds"])
        epochs = self._final["epochs"]
        return [
            Proposal(trial, number, self._values(index, seed), epochs)
            for number, (trial, index, seed) in enumerate(plan, start=1)
            if trial not in ended
        ]

    def _values(self, index: int, seed: int) -> dict[str, Any]:
        entrant = self._entrants[index]
        return {"role": entrant.role, "network": entrant.label, "seed": seed, "entrant": index}

    def _assignment(self) -> Assignment:
        plan = {
            trial: Planned(self._entrants[index].candidate, self._settings.seed + seed)
            for trial, index, seed in numbered(self._entrants, self._final["seeds"])
        }
        return Assignment(
            space=self._space,
            dataset=self._train_on,
            seed=self._settings.seed,
            epochs=self._final["epochs"],
            rungs=False,
            pretrained=pretrained_of(self._run),
            objective=self._settings.objective,
            class_weights=class_weights(self._settings, self._train_on),
            plan=plan,
        )

    def _overview(self) -> Overview:
        seeds, data = self._final["seeds"], self._train_on
        total = len(self._entrants) * seeds
        held = "validation held out" if data.validation.count else "validation included"
        names = ", ".join(f"{e.label} ({e.role})" for e in self._entrants)
        title = (
            f"Training {names} on {data.source} ({data.train.count:,} images, {held}): "
            f"{self._final['epochs']} epochs, {seeds} seed{'s' * (seeds != 1)} each. "
            f"Run {self._run.name}, on {machine.device()}."
        )
        return Overview(
            run=self._run.name, space=self._final["from"], data=data.source,
            images=data.train.count, classes=data.classes, strategy=KIND, trials=total,
            epochs=self._final["epochs"], budget="", finished=total - len(self._left()), best=None,
            seconds=None, device=machine.device(), workers=self._settings.workers, title=title,
            measured="val accuracy" if data.validation.count else "train accuracy",
        )  # fmt: skip

    def evaluate(self) -> None:
        """Asks each finished model once about the test split."""
        done = evaluated(self._run)
        finished = [t for t in self._run.db.trials() if t.status == "completed"]
        waiting = [t for t in finished if t.id not in done]
        if not self._data.test.count:
            raise RunError(f"{self._data.source} has no test split to judge by")
        if waiting:
            self._watcher.note(f"Evaluating {len(waiting)} models on the test split, once.")
            latencies = predict([self._task(t) for t in waiting])
            labels = self._data.test.labels()
            for trial in waiting:
                found = np.load(self._run.trial_dir(trial.id) / FILE)["probabilities"]
                metrics = {**test_metrics(found, labels), **latencies[trial.id]}
                self._run.db.append("evaluated", metrics, trial.id)
        if finished:
            files = write_results(self._run, self._data)
            names = [file.name for file in files]
            self._run.db.append("results", {"files": names, "metrics": _summary(rows(self._run))})

    def _task(self, trial: TrialRecord) -> Task:
        mean, std = pixel_statistics(self._run)
        return Task(
            trial.id, self._run.trial_dir(trial.id), json.dumps(dict(trial.architecture)),
            tuple(mean), tuple(std), self._data.image, self._data.test,
        )  # fmt: skip

    def end(self, reason: str) -> None:
        """Writes down how the session ended."""
        self._run.db.append("run_ended", {"reason": reason})
        self._tracker.notify()
        self._tracker.close()


def _summary(found: Sequence[Row]) -> dict[str, float]:
    """The first winner's test accuracy, and the references', as metrics of the whole run."""
    metrics = {}
    for row in reversed(found):
        prefix = "test_accuracy" if row.role == WINNER else f"{row.role}_test_accuracy"
        metrics[prefix] = row.accuracy.mean
        metrics[f"{prefix}_low"], metrics[f"{prefix}_high"] = row.accuracy.low, row.accuracy.high
    return metrics


def is_final(run: RunDirectory) -> bool:
    """Whether a run is a final training."""
    return run.manifest.get("kind") == KIND


def result_data(run: RunDirectory) -> list[dict[str, Any]]:
    """Returns the results as plain data for JSON."""
    return [asdict(row) for row in rows(run)]


def resume_final(
    root: Path, name: str, watcher: Watcher | None = None, workers: int | None = None
) -> FinalResult:
    """Goes on with a final training as it was asked for."""
    return run_final(RunDirectory.open(root, name), watcher, workers)


def exists_final(root: Path, name: str) -> bool:
    """Whether there is such a run, and it is a final training."""
    if not RunDirectory.exists(root, name):
        return False
    with closing(RunDirectory.open(root, name)) as run:
        return is_final(run)
