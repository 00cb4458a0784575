"""Trains one candidate by its recipe and evaluates it, one epoch after another."""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cnnsearch.errors import DiskFullError, RunError
from cnnsearch.training import checkpoint
from cnnsearch.training.assembly import assemble, transfer_weights
from cnnsearch.training.batches import Batch, TrainingBatches, iterate_validation
from cnnsearch.training.checkpoint import Checkpoint
from cnnsearch.training.checkpoint_writer import CheckpointWriter, write_files
from cnnsearch.training.features import cache_features
from cnnsearch.training.finetuning import load_initial_weights, set_trainable
from cnnsearch.training.history import Epoch, Metrics, Progress
from cnnsearch.training.initialization import initialize_weights
from cnnsearch.training.keras_fit import choose_batch_norm_momentum
from cnnsearch.training.losses import TrainingLoss, list_head_weights
from cnnsearch.training.messages import CandidateFailure, Measurement, TrialTask, check_finite
from cnnsearch.training.metrics import compute_validation_metrics
from cnnsearch.training.objectives import find_objective
from cnnsearch.training.optimizers import FusedOptimizer
from cnnsearch.training.phases import Phase, plan_phases, read_unfrozen_epoch
from cnnsearch.training.rounding import simulate_int8
from cnnsearch.training.steps import compile_steps
from cnnsearch.training.stopwatch import Activity, Stopwatch
from cnnsearch.utils.hardware import get_peak_memory_mb

CHECK_EVERY = 32
"""Steps after which the loss is checked, at the end of a call: reading it waits for the device."""
DISK_RETRY = 1.0
"""Seconds between two attempts to write to a full disk."""
EVALUATION_BATCH = 4
"""Training (micro-)batches in a batch of evaluation: without gradients it takes less memory."""


class Training:
    """The training of one candidate.

    Args:
        task: what to train. The model is built, and a checkpoint in its directory is restored.
    """

    _optimizer: FusedOptimizer
    _phase: Phase
    _batches: TrainingBatches

    def __init__(self, task: TrialTask) -> None:
        self._since, self._stopwatch = time.monotonic(), Stopwatch()
        checkpoint.sweep(task.directory)
        keras.utils.set_random_seed(task.seed)
        self._task, self._writer = task, CheckpointWriter()
        self._unreported: tuple[float, Epoch] | None = None  # when it ended
        self._images = TrainingBatches.create(task.dataset, task.recipe, task.seed)
        steps = len(self._images)
        self._momentum = choose_batch_norm_momentum(task.recipe, steps, task.epochs)
        freeze = task.pretrained is not None and task.pretrained.freeze
        self._phases = plan_phases(task.recipe, freeze, task.epochs, read_unfrozen_epoch(task))
        self.model = assemble(task, self._momentum, self._phases[0].scale)
        if task.pretrained is not None:
            load_initial_weights(task.pretrained, self.model)
        else:
            initialize_weights(self.model, task.recipe, task.dataset.train, task.seed)
        self._enter(self._phases[0])
        self._trainable = sum(int(np.prod(v.shape)) for v in self.model.trainable_variables)
        self._progress = self._restore()
        self._seconds_before = self._progress.seconds

    def _enter(self, phase: Phase) -> None:
        """Starts a phase: sets trainable layers, learning rate schedule and image size.

        Where the body is frozen and its features are cached, only the head is stepped.
        """
        task, before = self._task, getattr(self, "_phase", phase)
        self._phase = phase
        if before.scale != phase.scale:
            smaller, self.model = self.model, assemble(task, self._momentum, phase.scale)
            transfer_weights(smaller, self.model)
        set_trainable(self.model, phase.trainable)
        frozen = cache_features(task, phase, self.model, self._images)
        trained = frozen.head if frozen else self.model
        self._batches = frozen.batches if frozen else self._images
        self._validation = frozen.validation if frozen else task.dataset.validation
        rate = task.recipe.learning_rate * phase.rate
        recipe = task.recipe.model_copy(update={"learning_rate": rate})
        steps = phase.epochs * len(self._batches)
        optimizer = FusedOptimizer(recipe, steps, trained.trainable_variables)
        if before != phase and before.first == phase.first:
            optimizer.copy_state(self._optimizer)
        self._optimizer = optimizer
        heads = list_head_weights(task.architecture)
        loss = TrainingLoss(heads, recipe.label_smoothing, task.class_weights)
        rounding = simulate_int8(trained) if phase.rounds else None
        self._steps = compile_steps(
            trained, optimizer, loss, task.accumulate, rounding, recipe.batch_splits
        )
        self._compiled: set[Activity] = set()

    def _find_phase(self, epoch: int) -> Phase:
        return next(phase for phase in self._phases if epoch <= phase.last)

    def run(self) -> Iterator[Epoch | str]:
        """Yields each epoch up to the last, those of an earlier session too.

        An epoch is yielded once its checkpoint is on disk, while the next one is trained. While a
        full disk keeps the checkpoint from being written, it yields the reason, and retries.

        Raises:
            CandidateFailure: the loss became NaN or infinite.
            RunError: a checkpoint cannot be written.
        """
        for number, metrics in sorted(self._progress.history.items()):
            yield Epoch(number, metrics, True, {})
        try:
            while not self._is_done():
                yield from self._run_epoch(self._progress.epoch + 1)
        except CandidateFailure:
            yield from self._report_epoch()
            raise
        finally:
            self._writer.close()

    def _report_epoch(self) -> Iterator[Epoch | str]:
        """Yields the epoch that is not reported yet, when its checkpoint is on disk."""
        if self._unreported is None:
            return
        while True:
            try:
                self._writer.finish()
                break
            except DiskFullError as full:
                yield f"{full}: paused until there is room, nothing is lost."
                time.sleep(DISK_RETRY)
                self._writer.retry()
        self._stopwatch.start(Activity.LOG)
        ended, epoch = self._unreported
        yield epoch._replace(age=time.monotonic() - ended)
        self._unreported = None

    def get_measurement(self) -> Measurement:
        """Returns the measurement of the best epoch so far."""
        progress = self._progress
        best = progress.history[progress.best_epoch]
        validation = {key: value for key, value in best.items() if key.startswith("val_")}
        return Measurement(
            validation={**validation, **self._quantize()},
            accuracy=best["accuracy"],
            loss=best["loss"],
            epochs=progress.epoch,
            initial_epoch=progress.initial_epoch,
            best_epoch=progress.best_epoch,
            steps=len(self._batches),
            batch_norm_momentum=self._momentum,
            seconds=self._measure_seconds(),
            peak_memory_mb=get_peak_memory_mb(),
            params_trained=self._trainable,
        )

    def _quantize(self) -> Metrics:
        """Returns the objective's metric, if it is one of the best epoch in int8."""
        objective, split = find_objective(self._task.objective), self._task.dataset.validation
        if not objective.quantized or not split.count:
            return {}
        from cnnsearch.training.int8 import predict_in_int8  # most searches do without

        return {objective.metric: objective.compute(split.labels(), predict_in_int8(self._task))}

    def _run_epoch(self, epoch: int) -> Iterator[Epoch | str]:
        """Trains and evaluates; yields the epoch before, if it is not reported yet."""
        self._enter_phase_of(epoch)
        since = time.monotonic()
        loss, accuracy = yield from self._train(epoch)
        self._stopwatch.start(Activity.EVALUATE)
        with self._optimizer.averaged_weights():
            validation = self._evaluate(epoch)
        metrics = {"loss": loss, "accuracy": accuracy, **validation}
        metrics["learning_rate"] = self._optimizer.get_rate()
        metrics["seconds"] = time.monotonic() - since
        self._progress.record_epoch(epoch, metrics)
        self._stopwatch.start(Activity.CHECKPOINT)
        yield from self._report_epoch()
        self._stopwatch.start(Activity.CHECKPOINT)
        self._writer.start(self._collect_files())
        if self._is_done():
            self._writer.wait()  # so that its time counts
        self._unreported = time.monotonic(), Epoch(epoch, metrics, False, self._stopwatch.take())
        if self._writer.is_done:
            yield from self._report_epoch()

    def _enter_phase_of(self, epoch: int) -> None:
        phase = self._find_phase(epoch)
        if phase != self._phase:
            self._stopwatch.start(Activity.BUILD)
            if phase.rounds > self._phase.rounds:  # earlier weights were not trained for it
                self._progress.best_epoch = 0
            self._enter(phase)

    def _train(self, epoch: int) -> Generator[Epoch | str, None, tuple[float, float]]:
        reports, unchecked = list[Any](), 0
        self._stopwatch.start(Activity.TRAIN)
        for group in self._batches.iterate_groups(epoch):
            with self._measure_compilation(Activity.TRAIN):
                reports.append(self._steps.train(group))
            unchecked += len(group)
            if unchecked >= CHECK_EVERY:
                unchecked = 0
                check_finite(float(np.asarray(reports[-1])[-1, 0]), "loss", epoch)
            if self._unreported is not None and self._writer.is_done:
                yield from self._report_epoch()
                self._stopwatch.start(Activity.TRAIN)
        self._steps.sync_variables()
        loss, accuracy = np.concatenate([np.asarray(each) for each in reports]).mean(axis=0)
        return check_finite(float(loss), "loss", epoch), float(accuracy)

    def _evaluate(self, epoch: int) -> Metrics:
        split = self._validation
        if not split.count:
            return {}
        size = max(1, EVALUATION_BATCH * self._batches.size // self._task.accumulate)
        outputs = [self._evaluate_batch(batch) for batch in iterate_validation(split, size)]
        metrics = compute_validation_metrics(np.concatenate(outputs, axis=1), split.labels())
        check_finite(metrics["val_loss"], "validation loss", epoch)
        return metrics

    def _evaluate_batch(self, batch: Batch) -> Any:
        with self._measure_compilation(Activity.EVALUATE):
            return np.asarray(self._steps.evaluate(batch))

    @contextmanager
    def _measure_compilation(self, activity: Activity) -> Iterator[None]:
        """Attributes the first call of a compiled step, which traces it, to compilation."""
        is_first = activity not in self._compiled
        if is_first:
            self._compiled.add(activity)
            self._stopwatch.start(Activity.COMPILE)
        yield
        if is_first:
            self._stopwatch.start(activity)

    def _is_done(self) -> bool:
        """Whether all epochs are trained, or the recipe's patience is exhausted."""
        patience, best = self._task.recipe.early_stopping, self._progress.best_epoch
        stops_early = patience and best and self._progress.epoch - best >= patience
        return self._progress.epoch >= self._task.epochs or bool(stops_early)

    def _measure_seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._since

    def _list_state(self) -> list[Any]:
        """All variables: weights, moving statistics, random generators, optimizer."""
        return [*self.model.variables, *self._optimizer.variables]

    def _collect_files(self) -> dict[Path, Checkpoint]:
        """Returns the state, then the best weights; :meth:`_restore` repairs a kill in between."""
        self._progress.seconds, self._progress.begun = self._measure_seconds(), self._phase.first
        state, folder = checkpoint.get_values(self._list_state()), self._task.directory
        files = {folder / checkpoint.STATE: Checkpoint(self._progress.to_data(), state)}
        if self._progress.best_epoch == self._progress.epoch:
            files[folder / checkpoint.BEST] = self._copy_best()
        return files

    def _copy_best(self) -> Checkpoint:
        header = {"epoch": self._progress.epoch, **self._progress.history[self._progress.epoch]}
        with self._optimizer.averaged_weights():
            return checkpoint.collect_weights(self.model, header).copy()

    def _restore(self) -> Progress:
        """Resumes from this trial's own state, or starts from that of the one it continues."""
        task = self._task
        if own := self._load(task.directory):
            best = checkpoint.read_epoch(task.directory / checkpoint.BEST)
            if best != own.best_epoch:  # killed between the two files: the state is the best
                self._progress = own
                write_files({task.directory / checkpoint.BEST: self._copy_best()})
            return own
        if task.continues is not None and (other := self._load(task.continues)):
            if other.epoch >= task.epochs:
                done = f"trained for {other.epoch} epochs already"
                raise RunError(f"{task.continues}: {done}, {task.epochs} requested")
            return Progress(other.epoch, other.epoch, objective=task.objective)
        return Progress(0, 0, objective=task.objective)

    def _load(self, folder: Path) -> Progress | None:
        path = folder / checkpoint.STATE
        saved = checkpoint.read(path)
        if saved is None:
            return None
        phase = self._find_phase(min(int(saved.header["epoch"]), self._task.epochs))
        if phase != self._phase:
            self._enter(phase)
        checkpoint.restore(self._list_state(), saved.arrays, path)
        return Progress.from_data(saved.header)
