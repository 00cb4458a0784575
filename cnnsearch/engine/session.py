"""One session of a search: the oracle, the executor, tracking and display, from start to end."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from cnnsearch.data import Dataset
from cnnsearch.engine.disk_quota import MAX_DISK, DiskQuota
from cnnsearch.engine.display import Quiet
from cnnsearch.engine.display.callback import Overview, SearchCallback, Summary
from cnnsearch.engine.driver import Driver
from cnnsearch.engine.executors import Executor
from cnnsearch.engine.initial_weights import find_pretrained
from cnnsearch.engine.placement import count_slots
from cnnsearch.engine.run_data import compute_class_weights
from cnnsearch.engine.settings import Settings
from cnnsearch.engine.trial_plan import TrialPlan
from cnnsearch.oracles import create_oracle, find_strategy
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.protocol import Draws, Store
from cnnsearch.oracles.search_oracle import SearchOracle
from cnnsearch.runs.directory import INTERRUPTED, RunDirectory
from cnnsearch.runs.mlflow import Tracker
from cnnsearch.runs.ranking import find_best
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.objectives import find_objective, objective_of
from cnnsearch.utils.environment import describe_device, describe_environment
from cnnsearch.utils.units import format_amount

PATIENCE = 30.0
"""Seconds that MLflow is given at the end to catch up."""
HURRY = 8.0
"""Seconds that it is given when somebody wants the search to end: a scheduler kills after 30."""
IMBALANCED = 3.0
"""A largest class so many times the smallest is worth a warning."""


@dataclass(frozen=True)
class SearchResult:
    """How a search ended.

    Attributes:
        run: the run's folder and database.
        reason: why it ended: trials, exhausted, schedule, time or interrupted.
        best: the candidate with the highest validation accuracy; None: none was finished.
        trials: every candidate, in order.
        draws: what was drawn, and why it was not trained.
    """

    run: RunDirectory
    reason: str
    best: TrialRecord | None
    trials: tuple[TrialRecord, ...]
    draws: Draws = field(default_factory=Draws)


class Session:
    """Everything that lives only while candidates are trained; the caller holds the run's lock."""

    def __init__(
        self,
        run: RunDirectory,
        settings: Settings,
        space: SearchSpace,
        dataset: Dataset,
        callback: SearchCallback | None,
        executor: Executor,
        started: float,
    ) -> None:
        self._run, self._settings, self._dataset = run, settings, dataset
        self._space = fitted(space, dataset)
        self._callback = callback or Quiet()
        self._executor, self._started = executor, started

    def search(self) -> SearchResult:
        """Searches until something ends it; whatever happens, the journal says how it ended."""
        try:
            return self._search()
        finally:
            self._callback.close()

    def _search(self) -> SearchResult:
        settings, run = self._settings, self._run
        tracker = Tracker(run, settings.placement.mlflow_uri, on_message=self._callback.on_message)
        try:
            oracle = make_oracle(settings, self._space, run.db)
            self._begin()
            tracker.start()
            reason = self._drive(oracle, tracker)
        finally:
            self._executor.close()
        self._run.db.append("run_ended", {"reason": reason})
        tracker.notify()
        tracker.close(HURRY if reason == INTERRUPTED else PATIENCE)
        seconds = time.monotonic() - self._started
        self._callback.on_search_end(summarize(run, reason, oracle.draws, seconds))
        trials = tuple(run.db.get_trials())
        return SearchResult(run, reason, find_best(trials), trials, oracle.draws)

    def _begin(self) -> None:
        resumed = self._run.db.get_last_event("run_") is not None
        self._run.db.append(
            "run_started", {"resumed": resumed, "environment": describe_environment()}
        )
        view = overview(self._run, self._settings, self._space, self._dataset)
        self._callback.on_search_begin(replace(view, workers=self._executor.free))
        for text in (unbalanced(self._settings, self._dataset),):
            if text:
                self._callback.on_message(text)
        for skipped in self._dataset.skipped:
            self._callback.on_message(f"Left out: {skipped}")

    def _drive(self, oracle: SearchOracle, tracker: Tracker) -> str:
        driver = Driver(
            self._run,
            oracle,
            self._executor,
            self._assignment(),
            self._callback,
            tracker,
            DiskQuota(
                self._run,
                self._settings.placement.max_disk or MAX_DISK,
                promotes=find_strategy(self._settings.search.strategy).multi_fidelity,
            ),
            self._settings.search.max_failures,
        )
        try:
            return driver.search()
        except BaseException:
            self._run.db.append("run_ended", {"reason": INTERRUPTED})
            tracker.notify()
            tracker.close(HURRY)
            raise

    def _assignment(self) -> TrialPlan:
        settings = self._settings
        limit = settings.search.max_time
        return TrialPlan(
            space=self._space,
            dataset=self._dataset,
            seed=settings.search.seed,
            epochs=settings.training.epochs,
            rungs=find_strategy(settings.search.strategy).multi_fidelity,
            deadline=None if limit is None else self._started + limit,
            pretrained=find_pretrained(self._run),
            objective=settings.training.objective,
            class_weights=compute_class_weights(settings, self._dataset),
            changes=settings.training.changes,
        )


def unbalanced(settings: Settings, data: Dataset) -> str:
    """Returns a warning where one class has many more images than another, and what to do."""
    counts = np.bincount(data.train.labels(), minlength=data.classes)
    most, least = int(counts.max()), int(max(1, counts.min()))
    balanced = find_objective(settings.training.objective).balanced
    if most < IMBALANCED * least or balanced or settings.training.class_weights != "none":
        return ""
    names = (data.class_names[int(counts.argmax())], data.class_names[int(counts.argmin())])
    return (
        f"Classes are unbalanced: {most:,} images of {names[0]!r}, {least:,} of {names[1]!r} "
        f"({most / least:.1f} to 1). Accuracy favours the larger; consider "
        "--objective balanced_accuracy --class-weights balanced."
    )


class Nowhere:
    """Keeps no state: for an oracle whose proposals are not trained."""

    def load_oracle(self) -> tuple[str | None, list[str]]:
        return None, []

    def save_oracle(
        self, state: str, trials: Mapping[str, str], order: Mapping[str, int]
    ) -> None: ...


def fitted(space: SearchSpace, dataset: Dataset) -> SearchSpace:
    """Returns the space with the classes and channels of the data set."""
    return space.adapted(classes=len(dataset.class_names), channels=dataset.channels)


def make_oracle(settings: Settings, space: SearchSpace, store: Store) -> SearchOracle:
    """Returns the oracle that was asked for, on a space that fits the data."""
    return create_oracle(
        settings.search.strategy,
        space,
        check=FeasibilityCheck(space, settings.search.budget),
        store=store,
        max_trials=settings.search.trials,
        epochs=settings.training.epochs or space.first().recipe.epochs,
        seed=settings.search.seed,
    )


def check_first_proposal(settings: Settings, space: SearchSpace, dataset: Dataset) -> None:
    """Draws the search's first candidate before anything of the run is written.

    Raises:
        BudgetError: no candidate of the space meets the budget.
        SpaceError: no candidate of the space can be wired.
    """
    make_oracle(settings, fitted(space, dataset), Nowhere()).propose("rehearsal")


def overview(run: RunDirectory, settings: Settings, space: SearchSpace, data: Dataset) -> Overview:
    """Returns what the display says at the start."""
    trials = run.db.get_trials()
    best, objective = find_best(trials), find_objective(settings.training.objective)
    bounds = (("parameters", settings.search.max_params), ("MACs", settings.search.max_macs))
    budget = [f"{format_amount(bound)} {what}" for what, bound in bounds if bound is not None]
    return Overview(
        run=run.name,
        space=space.name,
        data=settings.data.source,
        images=data.train.count,
        classes=len(data.class_names),
        strategy=settings.search.strategy,
        trials=settings.search.trials,
        epochs=settings.training.epochs or space.first().recipe.epochs,
        budget=" and ".join(budget),
        finished=sum(trial.status in ("completed", "failed") for trial in trials),
        best=best.score if best else None,
        seconds=settings.search.max_time,
        device=describe_device(),
        workers=count_slots(settings.placement),
        measured=objective.heading,
        metric=objective.metric,
    )


def summarize(run: RunDirectory, reason: str, draws: Draws, seconds: float) -> Summary:
    """Returns what the display says at the end."""
    trials = run.db.get_trials()
    return Summary(
        run=run.name,
        reason=reason,
        best=find_best(trials),
        completed=sum(trial.status == "completed" for trial in trials),
        failed=sum(trial.status == "failed" for trial in trials),
        draws=draws,
        seconds=seconds,
        path=str(run.path),
        measured=objective_of(run.manifest["settings"]).title,
    )
