"""Times a few training steps of three candidates before a search, to predict what others take.

They are trained as trials are: by the search's executor, on a few images, each in a process of its
own. What was measured stands in the journal, so that a resumed search does not measure again.
"""

import math
import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from cnnsearch.data.views import take_few
from cnnsearch.engine.executors import Executor
from cnnsearch.engine.retries import Attempt
from cnnsearch.engine.training_time import MEASURED, PRIOR, TrainingTime
from cnnsearch.engine.trial_plan import TrialPlan
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.candidate import Candidate
from cnnsearch.training.messages import EpochEnd, TrialEnd, TrialTask
from cnnsearch.training.stopwatch import Activity
from cnnsearch.utils.units import format_time

SHARE: Final = 0.04
"""Of a search's time that is spent on measuring, at most."""
LEAST: Final = 20.0
"""Seconds below which nothing is measured: it is about what building three networks takes."""
FOLDER: Final = "forecast"
"""In the run's folder, for checkpoints and logs of what is measured; removed afterwards."""
STEPS: Final = 4
"""Training batches, and as many images to validate, in an epoch that is timed."""
ENOUGH: Final = 0.5
"""Seconds of training steps after which a candidate is known well enough."""
EPOCHS: Final = 1000
POLL_SECONDS: Final = 0.05
EPOCH_PARTS: Final = (Activity.TRAIN, Activity.EVALUATE, Activity.CHECKPOINT, Activity.LOG)


@dataclass(frozen=True)
class TimeMeasurement:
    """Measures candidates of a search.

    Attributes:
        run: of the search.
        executor: that trains its candidates; all its slots are free.
        trials: turns candidates into tasks.
        epochs: of a candidate.
    """

    run: RunDirectory
    executor: Executor
    trials: TrialPlan
    epochs: int

    def measure_within(self, limit: float, draw: Callable[[], Sequence[Candidate]]) -> str:
        """Measures in a small share of a search's time; returns why it could not, in one line.

        Args:
            limit: seconds of the search.
            draw: returns random candidates within the budget; not called if the time is too short.
        """
        seconds, later = limit * SHARE, "the forecast follows after two candidates."
        if seconds < LEAST:
            given, enough = format_time(limit), format_time(LEAST / SHARE)
            return f"{given} is too short to time candidates ahead ({enough} is enough): {later}"
        if self.measure(draw(), seconds):
            return ""
        return f"No two candidates could be timed within {format_time(seconds)}: {later}"

    def measure(self, candidates: Sequence[Candidate], seconds: float) -> bool:
        """Measures the smallest, the median and the largest of some candidates.

        Args:
            candidates: random ones, within the budget.
            seconds: to take at most.

        Returns:
            Whether there is something to predict from: at least two were measured.
        """
        until, folder = time.monotonic() + seconds, self.run.path / FOLDER
        shutil.rmtree(folder, ignore_errors=True)  # of a session that was killed: not to be resumed
        chosen = self._choose(candidates)
        tasks = [self._make_task(each, folder / f"forecast-{n}") for n, each in enumerate(chosen)]
        try:
            epochs = self._train(tasks, until)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        rows = [
            self._make_row(candidate, task, epochs[task.trial_id])
            for candidate, task in zip(chosen, tasks, strict=True)
            if len(epochs[task.trial_id]) > 1
        ]
        if len(rows) > 1:
            self.run.db.append(MEASURED, {"rows": rows})
        return len(rows) > 1

    def _choose(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Returns the candidates to measure, by what they take on a usual machine.

        None that trains a head alone: features that it caches are no matter of steps.
        """
        images = (self.trials.dataset.train.count, self.trials.dataset.validation.count)
        usual = TrainingTime(PRIOR)

        def predict(candidate: Candidate) -> float:
            return usual.predict(candidate, self.epochs, *images) or 0.0

        frozen = self.trials.pretrained is not None and self.trials.pretrained.freeze
        whole = [self.trials.change(each) for each in candidates if not (frozen or each.backbone)]
        ordered = sorted(whole, key=predict)
        picked = [ordered[n] for n in (0, len(ordered) // 2, -1)] if ordered else []
        return list({candidate.fingerprint: candidate for candidate in picked}.values())

    def _make_row(
        self, candidate: Candidate, task: TrialTask, epochs: Sequence[EpochEnd]
    ) -> dict[str, Any]:
        """Returns a candidate with the seconds that its training would take."""
        return {
            "architecture": candidate.architecture.to_data(),
            "recipe": candidate.recipe.to_data(),
            "epochs": self.epochs,
            "seconds": self._extrapolate(task, epochs),
        }

    def _make_task(self, candidate: Candidate, folder: Path) -> TrialTask:
        proposal = Proposal(folder.name, 0, {}, EPOCHS)
        task = self.trials.make_task(proposal, candidate, Attempt(), self.run)
        images = STEPS * candidate.recipe.batch_size
        recipe = task.recipe.model_copy(update={"epochs": EPOCHS})
        few = take_few(task.dataset, images, images)
        return replace(
            task, recipe=recipe, epochs=EPOCHS, dataset=few, directory=folder, latency=None
        )

    def _train(self, tasks: Sequence[TrialTask], until: float) -> dict[str, list[EpochEnd]]:
        """Trains as many tasks at a time as the search will; returns their epochs.

        Each ends when it is known well enough, or when its share of the time is up.
        """
        slots, waiting, ends = self.executor.free, deque(tasks), dict[str, float]()
        found = {task.trial_id: list[EpochEnd]() for task in tasks}
        try:
            while waiting or ends:
                while waiting and len(ends) < slots:
                    now, rounds = time.monotonic(), math.ceil(len(waiting) / slots)
                    task = waiting.popleft()
                    ends[task.trial_id] = now + (until - now) / rounds
                    self.executor.submit(task)
                for event in self.executor.poll(POLL_SECONDS):
                    if isinstance(event, EpochEnd):
                        found[event.trial_id].append(event)
                    elif isinstance(event, TrialEnd):
                        ends.pop(event.trial_id, None)
                for trial_id, end in list(ends.items()):
                    if time.monotonic() > end or _is_enough(found[trial_id]):
                        self.executor.cancel(trial_id)
                        del ends[trial_id]
        finally:
            for trial_id in ends:
                self.executor.cancel(trial_id)
        return found

    def _extrapolate(self, task: TrialTask, epochs: Sequence[EpochEnd]) -> float:
        """Returns the seconds of the whole training; the first epoch is the one that is traced."""
        first, *others = (epoch.activities for epoch in epochs)
        train, evaluate, *rest = (
            sum(each.get(part, 0.0) for each in others) / len(others) for part in EPOCH_PARTS
        )
        data, few = self.trials.dataset, task.dataset
        size = min(task.recipe.batch_size, data.train.count)
        train *= max(1, data.train.count // size) / max(1, few.train.count // size)
        evaluate *= data.validation.count / max(1, few.validation.count)
        start = first.get(Activity.BUILD, 0.0) + first.get(Activity.COMPILE, 0.0)
        return start + self.epochs * (train + evaluate + sum(rest))


def _is_enough(epochs: Sequence[EpochEnd]) -> bool:
    """Whether the steps of a task are known well enough; those of the first epoch are traced."""
    return sum(each.activities.get(Activity.TRAIN, 0.0) for each in epochs[1:]) > ENOUGH
