"""A training that takes milliseconds: checkpoints and events as the real one, arithmetic instead.

Used where a fault test needs so many trials that its strategy leaves its random start. The score
follows from the candidate, the checkpoints continue each other, and every epoch depends on the one
before, so that a search that loses or repeats one ends differently.
"""

import os
import random
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

SECONDS = float(os.environ.get("CNNSEARCH_FAULT_STANDIN", "0.02"))
"""Of an epoch."""


class Training:
    """Has the methods of the real ``Training`` at which the hooks tell and kill."""

    def __init__(self, task: Any) -> None:
        from cnnsearch.training import checkpoint, checkpoint_writer
        from cnnsearch.training.history import Progress

        self._checkpoint, self._writer, self._task = checkpoint, checkpoint_writer, task
        checkpoint.sweep(task.directory)
        found = checkpoint.read(task.directory / checkpoint.STATE)
        self._progress = Progress(task.initial_epoch, task.initial_epoch)
        self._weights = np.zeros(4)
        if found:
            self._progress = Progress.from_data(found.header)
        elif task.continues:
            found = checkpoint.read(task.continues / checkpoint.STATE)
        if found:
            self._weights = found.arrays[0]

    def run(self) -> Iterator[tuple[int, dict[str, float], bool]]:
        for number, metrics in sorted(self._progress.history.items()):
            yield number, metrics, True
        while self._progress.epoch < self._task.epochs:
            self._enter_phase_of(self._progress.epoch + 1)
            metrics = self._run_epoch(self._progress.epoch + 1)
            self._writer.write_files(self._collect_files())
            yield self._progress.epoch, metrics, False

    def _run_epoch(self, epoch: int) -> dict[str, float]:
        time.sleep(SECONDS)
        rng = random.Random(f"{self._task.seed}/{epoch}")
        self._weights = 0.9 * self._weights + np.array([rng.random() for _ in range(4)])
        quality = random.Random(self._task.architecture.fingerprint).random()
        accuracy = min(1.0, 0.5 * quality + 0.01 * float(self._weights.sum()))
        metrics = {"loss": 1 - accuracy, "accuracy": accuracy, "learning_rate": 0.1}
        scores = ("val_accuracy", "val_balanced_accuracy", "val_macro_f1")
        metrics |= {**dict.fromkeys(scores, accuracy), "val_loss": 1 - accuracy}
        metrics["seconds"] = SECONDS
        self._progress.record_epoch(epoch, metrics)
        return metrics

    def _enter_phase_of(self, epoch: int) -> None:
        """Does nothing: there is one phase."""

    def _collect_files(self) -> Any:
        content = self._checkpoint.Checkpoint(self._progress.to_data(), (self._weights,))
        names = [self._checkpoint.STATE]
        if self._progress.best_epoch == self._progress.epoch:
            names.append(self._checkpoint.BEST)
        return dict.fromkeys([self._task.directory / name for name in names], content)

    def measurement(self) -> Any:
        from cnnsearch.training.messages import Measurement

        progress = self._progress
        best = progress.history[progress.best_epoch]
        return Measurement(
            validation={key: value for key, value in best.items() if key.startswith("val_")},
            accuracy=best["accuracy"], loss=best["loss"], epochs=progress.epoch,
            initial_epoch=progress.initial_epoch, best_epoch=progress.best_epoch, steps=1,
            batch_norm_momentum=0.9, seconds=1.0, peak_memory_mb=1.0,
        )  # fmt: skip


def run_trial(task: Any) -> Iterator[Any]:
    """Takes the place of ``cnnsearch.training.trial.run_trial``."""
    from cnnsearch.training.messages import Completed, EpochEnd, TrialEnd

    training = Training(task)
    for step in training.run():
        yield EpochEnd(task.trial_id, *step)
    yield TrialEnd(task.trial_id, Completed(training.measurement()))
