"""Keras Tuner's tuners over one of our spaces, with the same recipe, augmentation and budget."""

import json
import statistics
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf
from keras_tuner.errors import FailedTrialError, FatalError

from cnnsearch.architecture.cost import count
from cnnsearch.data import Dataset
from cnnsearch.data.views import join_validation
from cnnsearch.errors import ArchitectureError, CnnsearchError, SpaceError
from cnnsearch.oracles.hypermodel import SpaceHyperModel

if TYPE_CHECKING:
    from contenders import Task

MANY = 10**6  # candidates, and failures in a row: the time ends a search
SHIFT = 8  # images are shifted by up to this part of their side, as by cnnsearch


class TimeIsUp(FatalError):
    """Ends a search: Keras Tuner passes on only its own fatal errors."""


class Deadline(keras.callbacks.Callback):
    """Ends a training, and the search, when the time is up."""

    def __init__(self, until: float) -> None:
        super().__init__()
        self._until = until

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if time.time() > self._until:
            raise TimeIsUp("the time is up")


class Pace(keras.callbacks.Callback):
    """Measures the seconds of epochs, validation included."""

    def __init__(self) -> None:
        super().__init__()
        self._since, self._seconds = 0.0, list[float]()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._since = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._seconds.append(time.monotonic() - self._since)

    def get_median(self) -> float:
        """Returns the seconds of an epoch; the first one compiles, and counts if it is alone."""
        return statistics.median(self._seconds[1:] or self._seconds)


class Model(SpaceHyperModel):
    """The space's hypermodel within a budget; notes how long an epoch of each candidate takes."""

    def __init__(self, task: "Task", data: Dataset, until: float, **options: Any) -> None:
        super().__init__(mean=data.mean, std=data.std, **options)
        self._task, self._data, self._until = task, data, until
        self.pace: dict[str, float] = {}
        self.is_searching = False  # tuners build once before they search, whatever it costs

    def identify(self, hp: Any) -> str:
        """Returns a key of the candidate, whatever the tuner stores beside its values."""
        return json.dumps(
            {k: v for k, v in sorted(hp.values.items()) if not k.startswith("tuner/")}
        )

    def build(self, hp: Any) -> Any:
        if time.time() > self._until:  # also where every trial fails before its first batch
            raise TimeIsUp("the time is up")
        try:
            fits = self._task.budget.allows(count(self.candidate(hp).architecture))
        except (ArchitectureError, SpaceError) as error:
            raise FailedTrialError(str(error)) from None
        if self.is_searching and not fits:
            raise FailedTrialError("over the budget")
        return super().build(hp)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Trains on augmented batches until the tuner's, or the recipe's, last epoch."""
        recipe, data = self.candidate(hp).recipe, self._data
        images, labels = np.asarray(data.train.images()), np.asarray(data.train.labels())
        epochs = kwargs.pop("epochs", recipe.epochs)
        first, pace = kwargs.pop("initial_epoch", 0), Pace()
        callbacks = [*kwargs.pop("callbacks", ()), Deadline(self._until), pace]
        history = model.fit(
            make_batches(images, labels, recipe.batch_size, data.flip),
            validation_data=(data.validation.images(), data.validation.labels()),
            epochs=epochs, initial_epoch=first, callbacks=callbacks, verbose=0,
        )  # fmt: skip
        self.pace[self.identify(hp)] = pace.get_median()
        return history


def make_batches(images: Any, labels: Any, size: int, flip: bool) -> "tf.data.Dataset":
    """Returns shuffled batches, shifted at random and mirrored where the data allows it."""
    height, width, channels = images.shape[1:]
    pad = [[0, 0], [height // SHIFT] * 2, [width // SHIFT] * 2, [0, 0]]

    def augment(x: Any, y: Any) -> Any:
        shifted = tf.image.random_crop(
            tf.pad(x, pad, "SYMMETRIC"), (tf.shape(x)[0], height, width, channels)
        )
        return (tf.image.random_flip_left_right(shifted) if flip else shifted), y

    made = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images))
    return made.batch(min(size, len(images)), drop_remainder=True).map(augment).prefetch(2)


def run_tuner(task: "Task", name: str) -> dict[str, Any]:
    """Searches for its share of the time, then trains the best for the rest."""
    space, data = task.load()
    until = time.time() + task.searching
    model = Model(task, data, until, space=space, steps_per_epoch=data.train.count // 64)
    tuner = create_tuner(name, model, task, space.decode_first().recipe.epochs)
    model.is_searching = True
    best, candidates = search_until_time(tuner)
    found = train_best(task, model, data, best.hyperparameters)
    return {**found, "candidates": candidates, "val_score": best.score}


def search_until_time(tuner: Any) -> tuple[Any, int]:
    """Returns the best trial, and how many were trained.

    Raises:
        CnnsearchError: none was.
    """
    with suppress(TimeIsUp):
        tuner.search()
    scored = [t for t in tuner.oracle.trials.values() if t.score is not None]
    if not scored:
        raise CnnsearchError("no candidate was trained within the time")
    return max(scored, key=lambda trial: trial.score), len(scored)


def create_tuner(name: str, model: Model, task: "Task", epochs: int) -> Any:
    """Returns a tuner with Keras Tuner's defaults, except that only the time ends it."""
    common = {
        "hypermodel": model, "objective": "val_accuracy", "seed": task.seed + 1,
        "directory": str(task.folder), "project_name": "tuner", "max_retries_per_trial": 0,
        "max_consecutive_failed_trials": MANY,
    }  # fmt: skip
    if name == "hyperband":
        tuner = keras_tuner.Hyperband(max_epochs=epochs, hyperband_iterations=1000, **common)
    else:
        kinds = {"random": keras_tuner.RandomSearch, "bayesian": keras_tuner.BayesianOptimization}
        tuner = kinds[name](max_trials=MANY, **common)
    tuner._configure_tensorboard_dir = lambda *_: None  # needs tensorboard, without any use of it
    return tuner


def train_best(task: "Task", searched: Model, data: Dataset, hp: Any) -> dict[str, Any]:
    """Trains the winner on both splits and evaluates it once on the test split."""
    both = join_validation(data).train
    images, labels = np.asarray(both.images()), both.labels()
    candidate = searched.candidate(hp)
    epochs = task.fit_epochs(searched.pace[searched.identify(hp)] * len(images) / data.train.count)
    steps = max(1, len(images) // candidate.recipe.batch_size)
    options = {"space": searched.space, "mean": data.mean, "std": data.std}
    keras.utils.clear_session()
    keras.utils.set_random_seed(task.seed)
    model = SpaceHyperModel(**options, steps_per_epoch=steps, epochs=epochs).build(hp)
    batches = make_batches(images, labels, candidate.recipe.batch_size, data.flip)
    model.fit(batches, epochs=epochs, verbose=0)
    test = model.evaluate(data.test.images(), data.test.labels(), verbose=0, return_dict=True)
    cost = count(candidate.architecture)
    return {
        "test_accuracy": test["accuracy"], "params": cost.params, "macs": cost.macs,
        "final_epochs": epochs, "winner": candidate.architecture.family,
        "architecture": candidate.architecture.data_hash,
    }  # fmt: skip
