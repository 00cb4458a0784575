"""One session of a final training: trains what is left, evaluates it once, writes the results."""

import json
from collections.abc import Sequence
from typing import Any

from cnnsearch.data import Dataset
from cnnsearch.data.views import drop_copies, find_test_copies, join_validation
from cnnsearch.engine.display.callback import Overview
from cnnsearch.engine.driver import TIME_IS_UP
from cnnsearch.engine.run_manifest import read_pixel_statistics
from cnnsearch.engine.session import RunSession, describe_skipped
from cnnsearch.engine.trial_plan import PlannedTrial
from cnnsearch.errors import RunError
from cnnsearch.oracles.fixed_list import FixedList
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.final.artifacts import RESULTS, write_details, write_results
from cnnsearch.studies.final.entrants import WINNER
from cnnsearch.studies.final.plan import KIND, FinalPlan, Slot
from cnnsearch.studies.final.predict import PredictionTask, load_predictions, predict_test_split
from cnnsearch.studies.final.results import (
    ENDED,
    Row,
    compute_differences,
    compute_rows,
    read_test_metrics,
)
from cnnsearch.training.metrics import compute_test_metrics
from cnnsearch.utils.environment import describe_device
from cnnsearch.utils.units import pluralize

TRAIN_ACCURACY = {"measured": "train accuracy", "metric": "accuracy"}
"""What the display shows where validation images are trained on."""


class FinalTraining:
    """Trains and evaluates the networks of a run's plan, on data with all three splits."""

    def __init__(self, session: RunSession, space: SearchSpace, data: Dataset) -> None:
        self._session, self._run = session, session.run
        self._space, self._data = space, data
        self._plan = FinalPlan.read(session.run)
        self._train_on = data if self._plan.hold_out else join_validation(data)
        if session.settings.data.drop_copies:
            self._train_on = drop_copies(self._train_on, with_test=True)

    def run(self) -> str:
        """Trains and evaluates what is left; returns why it ended: trials, time or interrupted."""
        left = self._list_open_proposals()
        overview = self._make_overview(len(left)) if left else None
        self._session.begin(overview, describe_skipped(self._data) if left else ())
        reason = self._train(left) if left else "trials"
        if reason in ("trials", TIME_IS_UP):
            self._evaluate()
        return reason

    def _train(self, left: Sequence[Proposal]) -> str:
        seed, entrants = self._session.settings.search.seed, self._plan.entrants
        plan = {
            slot.trial_id: PlannedTrial(entrants[slot.entrant].candidate, seed + slot.seed)
            for slot in self._plan.list_slots()
        }
        try:
            return self._session.train(FixedList(left), self._space, self._train_on, plan)
        finally:
            self._session.release_executor()  # the evaluation needs the GPU

    def _list_open_proposals(self) -> list[Proposal]:
        ended = {trial.id for trial in self._run.db.get_trials() if trial.status in ENDED}
        return [
            Proposal(slot.trial_id, number, self._describe_slot(slot), self._plan.epochs)
            for number, slot in enumerate(self._plan.list_slots(), start=1)
            if slot.trial_id not in ended
        ]

    def _describe_slot(self, slot: Slot) -> dict[str, Any]:
        """Returns the values under which the trial is recorded."""
        entrant = self._plan.entrants[slot.entrant]
        return {
            "role": entrant.role,
            "network": entrant.label,
            "seed": slot.seed,
            "entrant": slot.entrant,
        }

    def _make_overview(self, left: int) -> Overview:
        plan, data, total = self._plan, self._train_on, len(self._plan.list_slots())
        held = "validation held out" if data.validation.count else "validation included"
        names = ", ".join(f"{e.label} ({e.title})" for e in plan.entrants)
        size = "x".join(map(str, (*data.image, data.channels)))
        title = (
            f"Training {names} on {data.source} ({data.train.count:,} images of {size}, {held}): "
            f"{pluralize(plan.epochs, 'epoch')}, {pluralize(plan.seeds, 'seed')} each. "
            f"Run {self._run.name}, on {describe_device()}."
        )
        return self._session.make_overview(
            data,
            space=plan.source,
            strategy=KIND,
            trials=total,
            epochs=plan.epochs,
            finished=total - left,
            title=title,
            **({} if data.validation.count else TRAIN_ACCURACY),
        )

    def _evaluate(self) -> None:
        """Evaluates each completed model once on the test split, and records the results."""
        if not self._data.test.count:
            raise RunError(f"{self._data.source} has no test split to evaluate on")
        done = read_test_metrics(self._run)
        completed = [t for t in self._run.db.get_trials() if t.status == "completed"]
        waiting = [t for t in completed if t.id not in done]
        if waiting:
            for warning in find_test_copies(self._train_on):
                self._session.callback.on_message(warning)
            models = pluralize(len(waiting), "model")
            self._session.callback.on_message(f"Evaluating {models} on the test split.")
        tasks = []
        for trial in waiting:
            if load_predictions(self._run.trial_dir(trial.id)) is None:
                tasks.append(self._make_task(trial))
            else:  # killed between the predictions and their record
                self._record_metrics(trial.id)
        for trial_id in predict_test_split(tasks):
            self._record_metrics(trial_id)
        if completed and (waiting or self._run.db.get_last_event("results") is None):
            self._record_results()

    def _make_task(self, trial: TrialRecord) -> PredictionTask:
        mean, std = read_pixel_statistics(self._run, trial)
        return PredictionTask(
            trial.id, self._run.trial_dir(trial.id), json.dumps(dict(trial.architecture)),
            tuple(mean), tuple(std), self._data.image, self._data.test, self._plan.mirror,
        )  # fmt: skip

    def _record_metrics(self, trial_id: str) -> None:
        folder = self._run.trial_dir(trial_id)
        found = load_predictions(folder)
        if found is None:
            raise RunError(f"{folder}: the model's predictions are gone")
        metrics = {**compute_test_metrics(found.probabilities, found.labels), **found.latency}
        if found.mirrored is not None:
            hits = found.mirrored.argmax(axis=1) == found.labels
            metrics["test_accuracy_mirrored"] = float(hits.mean())
        self._run.db.append("evaluated", {**metrics, "test_images": len(found.labels)}, trial_id)

    def _record_results(self) -> None:
        """Compares the networks, writes tables and figures, and records both."""
        files, worst = write_details(self._run, self._data)
        result = {
            "files": [RESULTS, *(file.name for file in files)],
            "metrics": _summarize(compute_rows(self._run)),
            "differences": compute_differences(self._run),
            "hardest": worst,
        }
        self._run.db.append("results", result)
        write_results(self._run)


def _summarize(rows: Sequence[Row]) -> dict[str, float]:
    """Returns the first winner's test accuracy, and the baselines', as metrics of the run."""
    metrics = {}
    for row in reversed(rows):
        prefix = "test_accuracy" if row.role == WINNER else f"{row.role}_test_accuracy"
        metrics[prefix] = row.accuracy.mean
        metrics[f"{prefix}_low"], metrics[f"{prefix}_high"] = row.accuracy.low, row.accuracy.high
        if row.accuracy.std is not None:
            metrics[f"{prefix}_std"] = row.accuracy.std
    return metrics


def is_complete(run: RunDirectory) -> bool:
    """Whether everything is trained, evaluated and recorded."""
    trials = {trial.id: trial.status for trial in run.db.get_trials()}
    if any(trials.get(slot.trial_id) not in ENDED for slot in FinalPlan.read(run).list_slots()):
        return False
    completed = {trial for trial, status in trials.items() if status == "completed"}
    return completed <= set(read_test_metrics(run)) and run.db.get_last_event("results") is not None
