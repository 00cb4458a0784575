"""Trains one candidate by its recipe and measures it, one epoch after another."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import DiskFullError, RunError
from cnnsearch.training import checkpoint
from cnnsearch.training.assembly import assemble, hand_over
from cnnsearch.training.batches import TrainingBatches, validation_batches
from cnnsearch.training.finetuning import start_from, train_only
from cnnsearch.training.history import Metrics, Progress
from cnnsearch.training.keras_fit import batch_norm_momentum
from cnnsearch.training.messages import CandidateFailure, Measurement, TrialTask
from cnnsearch.training.metrics import compute_validation_metrics
from cnnsearch.training.optimizers import FusedOptimizer
from cnnsearch.training.phases import Phase, phases
from cnnsearch.training.steps import TrainingLoss, compile_steps
from cnnsearch.utils.hardware import get_peak_memory_mb

LOOK_EVERY = 32
"""Steps after which the loss is looked at: reading it waits for the device."""
PATIENCE = 1.0
"""Seconds between two tries to write to a full disk."""
MEASURING_BATCH = 4
"""A batch of measuring is so many training batches: without gradients it takes less memory."""


class Epoch(NamedTuple):
    """An epoch that is trained: its number from 1, and whether an earlier session trained it."""

    number: int
    metrics: Metrics
    replayed: bool


class Training:
    """One candidate under training.

    Args:
        task: what to train. The model is built, and a checkpoint in its directory is restored.
    """

    _optimizer: FusedOptimizer
    _phase: Phase

    def __init__(self, task: TrialTask) -> None:
        self._since = time.monotonic()
        checkpoint.sweep(task.directory)
        keras.utils.set_random_seed(task.seed)
        self._task = task
        self._batches = TrainingBatches.of(task.dataset, task.recipe, task.seed)
        steps = len(self._batches)
        self._momentum = batch_norm_momentum(task.recipe, steps, task.epochs)
        freeze = task.pretrained is not None and task.pretrained.freeze
        self._phases = phases(task.recipe, freeze, task.epochs, _unfrozen_epoch(task))
        self.model = self._assembled(self._phases[0].scale)
        if task.pretrained is not None:
            start_from(task.pretrained, self.model)
        self._enter(self._phases[0])
        self._trained = sum(int(np.prod(v.shape)) for v in self.model.trainable_variables)
        self._progress = self._restored()
        self._before = self._progress.seconds

    def _enter(self, phase: Phase) -> None:
        """Begins a phase: what it trains, by which schedule, on images of which size."""
        task, before = self._task, getattr(self, "_phase", phase)
        self._phase = phase
        if before.scale != phase.scale:
            smaller, self.model = self.model, self._assembled(phase.scale)
            hand_over(smaller, self.model)
        train_only(self.model, phase.trainable)
        rate = task.recipe.learning_rate * phase.rate
        recipe = task.recipe.model_copy(update={"learning_rate": rate})
        steps = phase.epochs * len(self._batches)
        optimizer = FusedOptimizer(recipe, steps, self.model.trainable_variables)
        if before != phase and before.first == phase.first:
            optimizer.take_over(self._optimizer)
        self._optimizer = optimizer
        heads = _head_weights(task.architecture)
        loss = TrainingLoss(heads, recipe.label_smoothing, task.class_weights)
        self._steps = compile_steps(self.model, self._optimizer, loss, task.accumulate)

    def _assembled(self, scale: float) -> Any:
        return assemble(self._task, self._momentum, scale)

    def _phase_of(self, epoch: int) -> Phase:
        return next(phase for phase in self._phases if epoch <= phase.last)

    def run(self) -> Iterator[Epoch | str]:
        """Yields each epoch up to the last, those of an earlier session too.

        While a full disk keeps the state from being written, it yields why, and tries again.

        Raises:
            CandidateFailure: the loss is no number any more.
            RunError: a checkpoint cannot be written.
        """
        for number, metrics in sorted(self._progress.history.items()):
            yield Epoch(number, metrics, True)
        while self._progress.epoch < self._task.epochs and not self._stalled():
            number = self._progress.epoch + 1
            if self._phase_of(number) != self._phase:
                self._enter(self._phase_of(number))
            metrics = self._epoch(number)
            yield from self._saved()
            yield Epoch(number, metrics, False)

    def _saved(self) -> Iterator[str]:
        """Writes the state; as long as there is no room, yields that and waits."""
        while True:
            try:
                self._save()
                return
            except DiskFullError as full:
                yield f"{full}: paused until there is room, nothing is lost."
                time.sleep(PATIENCE)

    def measurement(self) -> Measurement:
        """Returns the measurement of the best epoch so far."""
        progress = self._progress
        best = progress.history[progress.best_epoch]
        return Measurement(
            validation={k: v for k, v in best.items() if k.startswith("val_")},
            accuracy=best["accuracy"],
            loss=best["loss"],
            epochs=progress.epoch,
            initial_epoch=progress.initial_epoch,
            best_epoch=progress.best_epoch,
            steps=len(self._batches),
            batch_norm_momentum=self._momentum,
            seconds=self._seconds(),
            peak_memory_mb=get_peak_memory_mb(),
            params_trained=self._trained,
        )

    def _epoch(self, epoch: int) -> Metrics:
        since = time.monotonic()
        loss, accuracy = self._train(epoch)
        with self._optimizer.averaged():
            validated = self._measure(epoch)
        metrics = {
            "loss": loss,
            "accuracy": accuracy,
            **validated,
            "learning_rate": self._optimizer.rate(),
            "seconds": time.monotonic() - since,
        }
        self._progress.note(epoch, metrics)
        return metrics

    def _train(self, epoch: int) -> tuple[float, float]:
        reports: list[Any] = []
        for batch in self._batches.epoch(epoch):
            reports.append(self._steps.train(batch))
            if len(reports) % LOOK_EVERY == 0:
                _check(float(np.asarray(reports[-1])[0]), "loss", epoch)
        self._steps.settle()
        loss, accuracy = np.mean([np.asarray(report) for report in reports], axis=0)
        return _check(float(loss), "loss", epoch), float(accuracy)

    def _measure(self, epoch: int) -> Metrics:
        split = self._task.dataset.validation
        if not split.count:
            return {}
        batches = validation_batches(split, MEASURING_BATCH * self._batches.size)
        found = [np.asarray(self._steps.measure(batch)) for batch in batches]
        metrics = compute_validation_metrics(np.concatenate(found, axis=1), split.labels())
        _check(metrics["val_loss"], "validation loss", epoch)
        return metrics

    def _stalled(self) -> bool:
        """Whether the recipe's patience is at its end."""
        patience, progress = self._task.recipe.early_stopping, self._progress
        waited = progress.epoch - progress.best_epoch
        return bool(patience and progress.best_epoch and waited >= patience)

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._since

    def _state(self) -> list[Any]:
        """All variables: weights, moving statistics, random generators, optimizer."""
        return [*self.model.variables, *self._optimizer.variables]

    def _save(self) -> None:
        """Writes the state, then the best weights: :meth:`_restored` mends what lies between."""
        self._progress.seconds, self._progress.begun = self._seconds(), self._phase.first
        state = checkpoint.values(self._state())
        checkpoint.write(self._task.directory / checkpoint.STATE, self._progress.to_data(), state)
        if self._progress.best_epoch == self._progress.epoch:
            self._save_best()

    def _save_best(self) -> None:
        header = {"epoch": self._progress.epoch, **self._progress.history[self._progress.epoch]}
        with self._optimizer.averaged():
            checkpoint.save_weights(self.model, self._task.directory / checkpoint.BEST, header)

    def _restored(self) -> Progress:
        """Goes on from this trial's own state, or from that of the one it continues, or starts."""
        task = self._task
        if own := self._load(task.directory):
            if checkpoint.epoch_of(task.directory / checkpoint.BEST) != own.best_epoch:
                self._progress = own
                self._save_best()  # killed between the two files: the state is the best
            return own
        if task.continues is not None and (other := self._load(task.continues)):
            if other.epoch >= task.epochs:
                done = f"trained for {other.epoch} epochs already"
                raise RunError(f"{task.continues}: {done}, {task.epochs} asked for")
            return Progress(other.epoch, other.epoch, objective=task.objective)
        return Progress(0, 0, objective=task.objective)

    def _load(self, folder: Path) -> Progress | None:
        path = folder / checkpoint.STATE
        saved = checkpoint.read(path)
        if saved is None:
            return None
        phase = self._phase_of(min(int(saved.header["epoch"]), self._task.epochs))
        if phase != self._phase:
            self._enter(phase)
        checkpoint.restore(self._state(), saved.arrays, path)
        return Progress.from_data(saved.header)


def _unfrozen_epoch(task: TrialTask) -> int:
    """Returns the epoch at which the training to resume unfroze all weights; 1: not yet."""
    if task.recipe.unfreeze_after is None:
        return 1
    for folder in (task.directory, task.continues):
        if folder is not None and (saved := checkpoint.read(folder / checkpoint.STATE)):
            return int(saved.header.get("begun", 1))
    return 1


def _head_weights(architecture: Architecture) -> list[float]:
    """Returns the loss weight of each output, the main one's first, in the order of wiring."""
    heads = sorted(architecture.auxiliary, key=lambda head: head.after)
    return [1.0, *(head.weight for head in heads)]


def _check(loss: float, what: str, epoch: int) -> float:
    if not math.isfinite(loss):
        raise CandidateFailure("nan", f"the {what} became {loss} in epoch {epoch}")
    return loss
