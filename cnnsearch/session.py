"""One session of a search: the oracle, the executor, tracking and display, from start to end."""

import time
from dataclasses import dataclass, field

from cnnsearch.amounts import short_amount
from cnnsearch.data import Dataset
from cnnsearch.display import Quiet
from cnnsearch.driver import Assignment, Driver, InternalError
from cnnsearch.executor import Executor
from cnnsearch.judge import SpaceJudge
from cnnsearch.machine import device, environment
from cnnsearch.oracles import create_oracle
from cnnsearch.oracles.facade import SearchOracle
from cnnsearch.oracles.types import Draws
from cnnsearch.records import TrialRecord, best_of
from cnnsearch.rundir import INTERRUPTED, RunDirectory
from cnnsearch.settings import Settings, default_epochs
from cnnsearch.space import SearchSpace
from cnnsearch.tracking import Tracker
from cnnsearch.watcher import Overview, Summary, Watcher


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
        watcher: Watcher | None,
        executor: Executor,
        started: float,
    ) -> None:
        self._run, self._settings, self._dataset = run, settings, dataset
        self._space = space.adapted(classes=len(dataset.class_names), channels=dataset.channels)
        self._watcher = watcher or Quiet()
        self._executor, self._started = executor, started

    def search(self) -> SearchResult:
        """Searches until something ends it; whatever happens, the journal says how it ended."""
        settings, run = self._settings, self._run
        tracker = Tracker(run, settings.mlflow_uri, on_message=self._watcher.note)
        try:
            oracle = self._oracle()
            self._begin()
            tracker.start()
            reason = self._drive(oracle, tracker)
        finally:
            self._executor.close()
        self._run.db.append("run_ended", {"reason": reason})
        tracker.notify()
        tracker.close()
        seconds = time.monotonic() - self._started
        self._watcher.end(summarize(run, reason, oracle.draws, seconds))
        trials = tuple(run.db.trials())
        return SearchResult(run, reason, best_of(trials), trials, oracle.draws)

    def _oracle(self) -> SearchOracle:
        settings = self._settings
        return create_oracle(
            settings.strategy,
            self._space,
            judge=SpaceJudge(self._space, settings.budget),
            store=self._run.db,
            max_trials=settings.trials,
            epochs=settings.epochs or default_epochs(self._space),
            seed=settings.seed,
        )

    def _begin(self) -> None:
        resumed = self._run.db.last("run_") is not None
        self._run.db.append("run_started", {"resumed": resumed, "environment": environment()})
        self._watcher.begin(overview(self._run, self._settings, self._space, self._dataset))
        for skipped in self._dataset.skipped:
            self._watcher.note(f"Left out: {skipped}")

    def _drive(self, oracle: SearchOracle, tracker: Tracker) -> str:
        driver = Driver(
            self._run, oracle, self._executor, self._assignment(), self._watcher, tracker
        )
        try:
            return driver.search()
        except BaseException as error:
            reason = "error" if isinstance(error, InternalError) else INTERRUPTED
            self._run.db.append("run_ended", {"reason": reason})
            tracker.notify()
            tracker.close(5.0)
            raise

    def _assignment(self) -> Assignment:
        settings = self._settings
        limit = settings.max_time
        return Assignment(
            space=self._space,
            dataset=self._dataset,
            seed=settings.seed,
            epochs=settings.epochs,
            rungs=settings.strategy == "hyperband",
            deadline=None if limit is None else self._started + limit,
        )


def overview(run: RunDirectory, settings: Settings, space: SearchSpace, data: Dataset) -> Overview:
    """Returns what the display says at the start."""
    finished = sum(trial.status in ("completed", "failed") for trial in run.db.trials())
    bounds = (("parameters", settings.max_params), ("MACs", settings.max_macs))
    budget = [f"{short_amount(bound)} {what}" for what, bound in bounds if bound is not None]
    return Overview(
        run=run.name,
        space=space.name,
        data=settings.data,
        images=data.train.count,
        classes=len(data.class_names),
        strategy=settings.strategy,
        trials=settings.trials,
        epochs=settings.epochs or default_epochs(space),
        budget=" and ".join(budget),
        finished=finished,
        seconds=settings.max_time,
        device=device(),
        workers=settings.workers,
    )


def summarize(run: RunDirectory, reason: str, draws: Draws, seconds: float) -> Summary:
    """Returns what the display says at the end."""
    trials = run.db.trials()
    return Summary(
        run=run.name,
        reason=reason,
        best=best_of(trials),
        completed=sum(trial.status == "completed" for trial in trials),
        failed=sum(trial.status == "failed" for trial in trials),
        draws=draws,
        seconds=seconds,
        path=str(run.path),
    )
