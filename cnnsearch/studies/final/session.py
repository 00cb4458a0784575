"""One session of a final training: trains what is left, evaluates it once, writes the results."""

import json
import time
from collections.abc import Sequence
from typing import Any

from cnnsearch.data import Dataset
from cnnsearch.data.views import join_validation
from cnnsearch.engine.display.callback import Overview, SearchCallback
from cnnsearch.engine.driver import TIME_IS_UP, Driver
from cnnsearch.engine.initial_weights import find_pretrained
from cnnsearch.engine.placement import count_slots, make_executor
from cnnsearch.engine.run_data import compute_class_weights
from cnnsearch.engine.run_manifest import read_pixel_statistics
from cnnsearch.engine.settings import Settings
from cnnsearch.engine.trial_plan import PlannedTrial, TrialPlan
from cnnsearch.errors import RunError
from cnnsearch.oracles.fixed_list import FixedList
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.runs.directory import INTERRUPTED, RunDirectory
from cnnsearch.runs.mlflow import Tracker
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.final.artifacts import RESULTS, write_details, write_results
from cnnsearch.studies.final.entrants import WINNER
from cnnsearch.studies.final.plan import KIND, FinalPlan
from cnnsearch.studies.final.predict import PredictionTask, load_predictions, predict_test_split
from cnnsearch.studies.final.results import (
    ENDED,
    Row,
    compute_differences,
    compute_rows,
    read_test_metrics,
)
from cnnsearch.training.metrics import compute_test_metrics
from cnnsearch.training.objectives import find_objective
from cnnsearch.utils import environment
from cnnsearch.utils.units import pluralize


class Session:
    """One session; the caller holds the run's lock."""

    def __init__(
        self,
        run: RunDirectory,
        settings: Settings,
        space: SearchSpace,
        data: Dataset,
        callback: SearchCallback,
        seconds: float | None = None,
    ) -> None:
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._run, self._settings, self._space, self._data = run, settings, space, data
        self._callback = callback
        self._plan = FinalPlan.read(run)
        self._train_on = data if self._plan.hold_out else join_validation(data)
        self._tracker = Tracker(run, settings.placement.mlflow_uri, on_message=callback.on_message)

    def run(self) -> str:
        """Trains and evaluates what is left; whatever happens, the journal says how it ended."""
        reason = "error"
        try:
            self._begin()
            reason = self._train()
            if reason in ("trials", TIME_IS_UP):
                self._evaluate()
        except BaseException:
            reason = INTERRUPTED
            raise
        finally:
            self._end(reason)
        return reason

    def _train(self) -> str:
        left = self._left()
        if not left:
            return "trials"
        executor = make_executor(self._settings.placement)
        try:
            executor.warm()
            environment.import_frameworks()
            driver = Driver(
                self._run, FixedList(left), executor, self._assignment(), self._callback,
                self._tracker,
            )  # fmt: skip
            return driver.search()
        finally:
            executor.close()
            self._callback.close()

    def _begin(self) -> None:
        resumed = self._run.db.get_last_event("run_") is not None
        facts = environment.describe_environment()
        self._run.db.append("run_started", {"resumed": resumed, "environment": facts})
        self._tracker.start()
        if self._left():
            self._callback.on_search_begin(self._overview())

    def _left(self) -> list[Proposal]:
        """The trainings that have no end yet, those that were running among them."""
        ended = {t.id for t in self._run.db.get_trials() if t.status in ENDED}
        return [
            Proposal(trial, number, self._values(index, seed), self._plan.epochs)
            for number, (trial, index, seed) in enumerate(self._plan.list_slots(), start=1)
            if trial not in ended
        ]

    def _values(self, index: int, seed: int) -> dict[str, Any]:
        entrant = self._plan.entrants[index]
        return {"role": entrant.role, "network": entrant.label, "seed": seed, "entrant": index}

    def _assignment(self) -> TrialPlan:
        plan = {
            trial: PlannedTrial(
                self._plan.entrants[index].candidate, self._settings.search.seed + seed
            )
            for trial, index, seed in self._plan.list_slots()
        }
        return TrialPlan(
            space=self._space,
            dataset=self._train_on,
            seed=self._settings.search.seed,
            epochs=self._plan.epochs,
            rungs=False,
            deadline=self._deadline,
            pretrained=find_pretrained(self._run),
            objective=self._settings.training.objective,
            class_weights=compute_class_weights(self._settings, self._train_on),
            plan=plan,
        )

    def _overview(self) -> Overview:
        objective = find_objective(self._settings.training.objective)
        seeds, data = self._plan.seeds, self._train_on
        total = len(self._plan.list_slots())
        held = "validation held out" if data.validation.count else "validation included"
        names = ", ".join(f"{e.label} ({e.role})" for e in self._plan.entrants)
        title = (
            f"Training {names} on {data.source} ({data.train.count:,} images, {held}): "
            f"{self._plan.epochs} epochs, {seeds} seed{'s' * (seeds != 1)} each. "
            f"Run {self._run.name}, on {environment.describe_device()}."
        )
        return Overview(
            run=self._run.name, space=self._plan.source, data=data.source,
            images=data.train.count, classes=data.classes, strategy=KIND, trials=total,
            epochs=self._plan.epochs, budget="", finished=total - len(self._left()), best=None,
            seconds=None, device=environment.describe_device(),
            workers=count_slots(self._settings.placement), title=title,
            measured=objective.heading if data.validation.count else "train accuracy",
            metric=objective.metric,
        )  # fmt: skip

    def _evaluate(self) -> None:
        """Asks each finished model once about the test split, and writes down what it said."""
        if not self._data.test.count:
            raise RunError(f"{self._data.source} has no test split to judge by")
        done = read_test_metrics(self._run)
        finished = [t for t in self._run.db.get_trials() if t.status == "completed"]
        waiting = {t.id: t for t in finished if t.id not in done}
        if waiting:
            self._callback.on_message(
                f"Evaluating {pluralize(len(waiting), 'model')} on the test split, once."
            )
            asked = [t for t in waiting if load_predictions(self._run.trial_dir(t)) is None]
            for trial in [t for t in waiting if t not in asked]:
                self._record(trial)  # killed between the answers and the journal
            for trial in predict_test_split([self._task(waiting[t]) for t in asked]):
                self._record(trial)
        if finished and (waiting or self._run.db.get_last_event("results") is None):
            self._conclude()

    def _record(self, trial: str) -> None:
        """Journals what a model's answers come to; they lie in its folder."""
        found = load_predictions(self._run.trial_dir(trial))
        if found is None:
            raise RunError(f"{self._run.trial_dir(trial)}: the model's answers are gone")
        metrics = {**compute_test_metrics(found.probabilities, found.labels), **found.latency}
        metrics["test_images"] = len(found.labels)
        self._run.db.append("evaluated", metrics, trial)

    def _conclude(self) -> None:
        """Compares the networks, writes tables and pictures, and journals both."""
        files, hardest = write_details(self._run, self._data)
        result = {
            "files": [RESULTS, *(file.name for file in files)],
            "metrics": _summary(compute_rows(self._run)),
            "differences": compute_differences(self._run),
            "hardest": hardest,
        }
        self._run.db.append("results", result)
        write_results(self._run)

    def _task(self, trial: TrialRecord) -> PredictionTask:
        mean, std = read_pixel_statistics(self._run)
        return PredictionTask(
            trial.id, self._run.trial_dir(trial.id), json.dumps(dict(trial.architecture)),
            tuple(mean), tuple(std), self._data.image, self._data.test,
        )  # fmt: skip

    def _end(self, reason: str) -> None:
        """Writes down how the session ended, and lets go of everything."""
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
        if row.accuracy.std is not None:
            metrics[f"{prefix}_std"] = row.accuracy.std
    return metrics


def complete(run: RunDirectory) -> bool:
    """Whether everything is trained, evaluated and written down."""
    trials = {t.id: t.status for t in run.db.get_trials()}
    if any(trials.get(slot.trial_id) not in ENDED for slot in FinalPlan.read(run).list_slots()):
        return False
    finished = {trial for trial, status in trials.items() if status == "completed"}
    return finished <= set(read_test_metrics(run)) and run.db.get_last_event("results") is not None
