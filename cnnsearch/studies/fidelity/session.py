"""Trains what a study still lacks: one pass of the driver for each view of the data."""

from collections.abc import Callable, Mapping, Sequence

from cnnsearch.data import Dataset
from cnnsearch.engine.display import Quiet
from cnnsearch.engine.display.callback import Overview, SearchCallback
from cnnsearch.engine.driver import Driver
from cnnsearch.engine.executors import Executor
from cnnsearch.engine.placement import count_slots
from cnnsearch.engine.session import fitted
from cnnsearch.engine.settings import Settings
from cnnsearch.engine.trial_plan import TrialPlan
from cnnsearch.oracles.fixed_list import FixedList
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.runs.directory import INTERRUPTED, RunDirectory
from cnnsearch.runs.mlflow import Tracker
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.fidelity.plan import Training, Variant, list_open_proposals
from cnnsearch.utils.environment import describe_device, describe_environment


class Session:
    """Everything that lives while candidates are trained; the caller holds the run's lock.

    Args:
        run: where everything is kept.
        settings: of the study.
        space: that its candidates are of.
        dataset: gives the data that a way to train sees.
        executor: trains.
        callback: is told what happens; None: nobody is.
    """

    def __init__(
        self,
        run: RunDirectory,
        settings: Settings,
        space: SearchSpace,
        dataset: Callable[[Variant], Dataset],
        executor: Executor,
        callback: SearchCallback | None,
    ) -> None:
        self._run, self._settings, self._space = run, settings, space
        self._dataset, self._executor = dataset, executor
        self._callback: SearchCallback = callback or Quiet()

    def train(self, planned: Sequence[Training]) -> str:
        """Trains what is not done yet; returns ``trials`` or ``interrupted``."""
        run = self._run
        known = {trial.id: trial for trial in run.db.get_trials()}
        left = {one.trial_id: one for one in list_open_proposals(planned, known, run.name)}
        tracker = Tracker(
            run, self._settings.placement.mlflow_uri, on_message=self._callback.on_message
        )
        run.db.append(
            "run_started", {"resumed": bool(known), "environment": describe_environment()}
        )
        self._callback.on_search_begin(self._overview(planned, len(planned) - len(left)))
        tracker.start()
        reason = "error"
        try:
            reason = self._passes(planned, left, tracker)
        except BaseException:
            reason = INTERRUPTED
            raise
        finally:
            self._executor.close()
            run.db.append("run_ended", {"reason": reason})
            tracker.notify()
            tracker.close()
            self._callback.close()
        return reason

    def _passes(
        self, planned: Sequence[Training], left: Mapping[str, Proposal], tracker: Tracker
    ) -> str:
        reason = "trials"
        views = dict.fromkeys(one.variant.view for one in planned)
        for view in views:
            todo = [one for one in planned if one.variant.view == view and one.trial_id in left]
            if not todo:
                continue
            oracle = FixedList(left[one.trial_id] for one in todo)
            driver = Driver(
                self._run, oracle, self._executor, self._assignment(todo), self._callback,
                tracker,
            )  # fmt: skip
            reason = driver.search()
            if reason == INTERRUPTED:
                break
        return reason

    def _assignment(self, todo: Sequence[Training]) -> TrialPlan:
        dataset = self._dataset(todo[0].variant)
        return TrialPlan(
            space=fitted(self._space, dataset),
            dataset=dataset,
            seed=self._settings.search.seed,
            epochs=None,
            rungs=False,
            plan={one.trial_id: one.planned for one in todo},
        )

    def _overview(self, planned: Sequence[Training], finished: int) -> Overview:
        settings = self._settings
        longest = max(planned, key=lambda one: one.variant.epochs).variant
        data = self._dataset(longest)
        return Overview(
            run=self._run.name,
            space=self._space.name,
            data=settings.data.source,
            images=data.train.count,
            classes=data.classes,
            strategy="fidelity",
            trials=len(planned),
            epochs=longest.epochs,
            budget="",
            finished=finished,
            best=None,
            seconds=None,
            device=describe_device(),
            workers=count_slots(settings.placement),
        )
