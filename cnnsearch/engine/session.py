"""One session of a run: all that a search, a final training and a fidelity study share."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from cnnsearch.data import Dataset
from cnnsearch.engine.backbones import find_backbones
from cnnsearch.engine.disk_quota import DiskQuota
from cnnsearch.engine.display import Quiet
from cnnsearch.engine.display.callback import Overview, SearchCallback
from cnnsearch.engine.driver import Driver
from cnnsearch.engine.executors import Executor
from cnnsearch.engine.initial_weights import find_pretrained
from cnnsearch.engine.placement import count_slots, make_executor
from cnnsearch.engine.run_data import compute_class_weights
from cnnsearch.engine.settings import Settings
from cnnsearch.engine.training_time import TimePredictor
from cnnsearch.engine.trial_plan import PlannedTrial, TrialPlan
from cnnsearch.errors import RunError
from cnnsearch.oracles import find_strategy
from cnnsearch.oracles.protocol import Oracle
from cnnsearch.runs.directory import CLOSING_SECONDS, INTERRUPTED, RunDirectory
from cnnsearch.runs.mlflow import Tracker
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.objectives import find_objective
from cnnsearch.utils import environment
from cnnsearch.utils.units import pluralize

PATIENCE = 30.0
"""Seconds at the end for MLflow to catch up."""
HURRY = 8.0
"""The same after an interruption: a scheduler kills 30 seconds after its first signal."""

SHOWN = 3
"""Images that are left out are named up to this number."""


class RunSession:
    """Trains trials of a run, with its executor, tracker and display; see :func:`open_session`."""

    def __init__(
        self,
        run: RunDirectory,
        settings: Settings,
        callback: SearchCallback | None = None,
        executor: Executor | None = None,
        deadline: float | None = None,
    ) -> None:
        self.run, self.settings = run, settings
        self.callback: SearchCallback = callback or Quiet()
        self.reason = "trials"
        self._executor, self._deadline = executor, deadline
        self._tracker = Tracker(
            run, settings.placement.mlflow_uri, on_message=self.callback.on_message
        )
        self._is_open = False

    def begin(
        self, overview: Overview | None, notes: Iterable[str] = (), startup: float = 0.0
    ) -> None:
        """Records the start, shows the overview and notes, and starts the tracker.

        Args:
            overview: of the session; None: it is not shown.
            notes: are shown below it.
            startup: seconds that the session has taken so far.
        """
        resumed = self.run.db.get_last_event("run_") is not None
        since, facts = time.monotonic(), environment.describe_environment()
        data = {"resumed": resumed, "environment": facts, "workers": self._count_workers()}
        data["startup_seconds"] = startup + time.monotonic() - since
        self.run.db.append("run_started", data)
        self._is_open = True
        if overview is not None:
            self.callback.on_search_begin(overview)
        for text in notes:
            self.callback.on_message(text)
        self._tracker.start()

    def _count_workers(self) -> int:
        """Returns the trials that are trained in parallel; an executor is empty at first."""
        placed = count_slots(self.settings.placement)
        return placed if self._executor is None else self._executor.free

    def train(
        self,
        oracle: Oracle,
        space: SearchSpace,
        dataset: Dataset,
        plan: Mapping[str, PlannedTrial] | None = None,
        quota: DiskQuota | None = None,
        **shared: Any,
    ) -> str:
        """Trains the oracle's proposals until there are no more, time is up or someone interrupts.

        Args:
            oracle: proposes.
            space: decodes the proposals.
            dataset: to train on.
            plan: candidates and seeds by trial id, in place of what the space decodes.
            quota: limits the disk space of checkpoints; None: there is no limit.
            shared: attributes of :class:`TrialPlan` that only a search has.

        Returns:
            Why it ended: the oracle's reason, ``time`` or ``interrupted``.
        """
        if self._executor is None:
            self._executor = make_executor(self.settings.placement)
        warm_up(self._executor)
        driver = Driver(
            self.run,
            oracle,
            self._executor,
            replace(self.plan_trials(space, dataset, plan), **shared),
            self.callback,
            self._tracker,
            quota,
            self.settings.search.max_failures,
        )
        self.reason = driver.search()
        return self.reason

    def plan_trials(
        self,
        space: SearchSpace,
        dataset: Dataset,
        plan: Mapping[str, PlannedTrial] | None = None,
    ) -> TrialPlan:
        """Returns what the session's trials have in common; the arguments are those of `train`."""
        settings = self.settings
        return TrialPlan(
            space=fit_space(space, dataset),
            dataset=dataset,
            seed=settings.search.seed,
            epochs=settings.training.epochs if plan is None else None,
            rungs=plan is None and find_strategy(settings.search.strategy).multi_fidelity,
            deadline=self._deadline,
            pretrained=find_pretrained(self.run),
            backbones=find_backbones(self.run),
            objective=settings.training.objective,
            class_weights=compute_class_weights(settings, dataset),
            changes=settings.training.changes,
            plan=plan,
            predict_seconds=TimePredictor(self.run.db, dataset).predict,
        )

    def release_executor(self) -> None:
        """Ends training: frees GPUs and memory, and leaves the live table as it is."""
        self._close_executor()
        self.callback.close()

    def _close_executor(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.close()

    def close(self, reason: str) -> None:
        """Stops training, records the end, and lets MLflow catch up; only the first call counts."""
        try:
            self._close_executor()
        finally:
            if self._is_open:
                self._is_open = False
                seq, since = self.run.db.append("run_ended", {"reason": reason}), time.monotonic()
                self._tracker.notify()
                self._tracker.close(HURRY if reason == INTERRUPTED else PATIENCE)
                closing = self.run.db.open_mapping(CLOSING_SECONDS)
                closing[str(seq)] = str(time.monotonic() - since)

    def make_overview(self, dataset: Dataset, **facts: Any) -> Overview:
        """Returns what the display shows at the start; ``facts`` are the other attributes."""
        objective = find_objective(self.settings.training.objective)
        defaults = {"budget": "", "best": None, "seconds": None}
        defaults |= {"measured": objective.heading, "metric": objective.per_epoch.metric}
        return Overview(
            run=self.run.name,
            data=self.settings.data.source,
            images=dataset.train.count,
            classes=dataset.classes,
            held_out=(dataset.validation.count, dataset.test.count),
            input=tuple(dataset.input),
            device=environment.describe_device(),
            workers=count_slots(self.settings.placement),
            **{**defaults, **facts},
        )


@contextmanager
def open_session(
    run: RunDirectory,
    settings: Settings,
    callback: SearchCallback | None = None,
    executor: Executor | None = None,
    deadline: float | None = None,
) -> Iterator[RunSession]:
    """Yields a session that holds the run's lock; at the end the run knows how it ended.

        with open_session(run, settings, callback) as session:
            session.begin(session.make_overview(dataset, ...))
            session.train(oracle, space, dataset)

    Args:
        run: the run.
        settings: of this session.
        callback: is called on events; None: nobody.
        executor: trains; None: one is made when there is something to train.
        deadline: when training stops, on the monotonic clock; None: there is no limit.

    Raises:
        RunError: another process holds the lock.
    """
    with run.lock():
        session = RunSession(run, settings, callback, executor, deadline)
        try:
            yield session
            session.close(session.reason)
        except BaseException:
            session.close(INTERRUPTED)
            raise
        finally:
            session.callback.close()


def describe_skipped(dataset: Dataset) -> list[str]:
    """Returns the data set's warnings, and a line that counts unreadable images if there are."""
    skipped = dataset.skipped
    if not skipped:
        return list(dataset.warnings)
    more = f" and {len(skipped) - SHOWN} more (listed in run.json)" if len(skipped) > SHOWN else ""
    images = pluralize(len(skipped), "unreadable image")
    return [*dataset.warnings, f"Left out {images}: {', '.join(skipped[:SHOWN])}{more}."]


def warm_up(executor: Executor) -> None:
    """Imports the frameworks here and in the executor's server in parallel; once is enough.

    Raises:
        RunError: a cluster has no free slot.
    """
    executor.warm()
    environment.import_frameworks()
    if executor.free < 1:
        raise RunError("there is nowhere to train: no slot is free")


def fit_space(space: SearchSpace, dataset: Dataset) -> SearchSpace:
    """Returns the space with the data's classes and channels."""
    return space.adapt(classes=len(dataset.class_names), channels=dataset.channels)
