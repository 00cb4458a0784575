"""What people write themselves: a plain Keras network, and an objective for Optuna.

Nothing of cnnsearch is used but the images and their splits. A hand-written program has Adam with a
cosine decay, mirrored and shifted images, and, in Optuna's case, a small space of plain networks.
"""

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

from cnnsearch.data import Dataset
from cnnsearch.data.views import join_validation
from cnnsearch.errors import CnnsearchError

if TYPE_CHECKING:
    from contenders import Task

BATCH = 64
PROBED = 2  # epochs that show how long one takes
SEARCHED_EPOCHS = 12  # of a candidate of Optuna
WIDTHS = (16, 24, 32, 48, 64)


class Stop(keras.callbacks.Callback):
    """Ends a training when the time is up."""

    def __init__(self, until: float) -> None:
        super().__init__()
        self._until = until

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.model.stop_training = self.model.stop_training or time.time() > self._until


def build_network(
    data: Dataset,
    width: int,
    stages: int = 2,
    convs: int = 2,
    kernel: int = 3,
    dropout: float = 0.0,
) -> keras.Model:
    """Returns ``convs`` convolutions a stage behind max pooling, and global average pooling."""
    shape = np.shape(data.train.images())[1:]
    steps: list[Any] = [keras.Input(shape), layers.Rescaling(1 / 127.5, offset=-1)]
    steps += [layers.RandomFlip("horizontal")] if data.flip else []
    steps += [layers.RandomTranslation(0.125, 0.125, fill_mode="reflect")]

    def add(filters: int) -> None:
        steps.extend(
            [
                layers.Conv2D(filters, kernel, padding="same", use_bias=False),
                layers.BatchNormalization(),
                layers.ReLU(),
            ]
        )

    add(width)
    for stage in range(1, stages + 1):
        steps.append(layers.MaxPooling2D())
        for _ in range(convs):
            add(width * 2**stage)
    steps += [layers.GlobalAveragePooling2D(), layers.Dropout(dropout)]
    return keras.Sequential([*steps, layers.Dense(data.classes, activation="softmax")])


def count_macs(model: keras.Model) -> int:
    """Returns the multiply-accumulates of convolution and dense layers for one image."""
    found = 0
    for layer in model._flatten_layers():
        if isinstance(layer, layers.Conv2D | layers.Dense):
            positions = math.prod(layer.output.shape[1:-1])
            found += positions * math.prod(layer.kernel.shape)
    return found


def fit(
    model: keras.Model, images: Any, labels: Any, epochs: int, until: float, rate: float = 1e-3,
    validation: Any = None,
) -> Any:  # fmt: skip
    """Trains with Adam and a cosine decay over all epochs; returns Keras's history."""
    steps = math.ceil(len(images) / BATCH) * epochs
    decay = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(
        keras.optimizers.Adam(decay), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model.fit(
        images, labels, batch_size=BATCH, epochs=epochs, validation_data=validation, verbose=0,
        callbacks=[Stop(until)],
    )  # fmt: skip


def train_and_test(
    task: "Task", data: Dataset, make: Any, rate: float, pace: float
) -> dict[str, Any]:
    """Trains a new model on both splits for the rest of the time, and tests it once."""
    both = join_validation(data).train
    images, labels = np.asarray(both.images()), both.labels()
    keras.utils.set_random_seed(task.seed)
    model = make()
    epochs = task.fit_epochs(pace * len(images) / data.train.count)
    fit(model, images, labels, epochs, task.until, rate)
    test = model.evaluate(data.test.images(), data.test.labels(), verbose=0, return_dict=True)
    return {
        "test_accuracy": test["accuracy"], "final_epochs": epochs, "macs": count_macs(model),
        "params": sum(math.prod(w.shape) for w in model.trainable_weights),
    }  # fmt: skip


def train_plain_keras(task: "Task") -> dict[str, Any]:
    """Trains the widest plain network within the budget for the whole time."""
    _, data = task.load()
    width = max((w for w in range(4, 65, 2) if _fits(task, build_network(data, w))), default=None)
    if width is None:
        raise CnnsearchError("no plain network meets the budget")
    probe, since = build_network(data, width), 0.0
    images, labels = np.asarray(data.train.images()), np.asarray(data.train.labels())
    fit(probe, images, labels, 1, task.until)  # compiles
    since = time.monotonic()
    probe.fit(images, labels, batch_size=BATCH, epochs=PROBED, verbose=0)
    pace = (time.monotonic() - since) / PROBED
    found = train_and_test(task, data, lambda: build_network(data, width), 1e-3, pace)
    return {**found, "candidates": 1, "val_score": None, "winner": f"plain Keras, width {width}"}


def _fits(task: "Task", model: keras.Model) -> bool:
    params = sum(math.prod(w.shape) for w in model.trainable_weights)
    macs, budget = count_macs(model), task.budget
    return macs <= (budget.max_macs or math.inf) and params <= (budget.max_params or math.inf)


def search_with_optuna(task: "Task") -> dict[str, Any]:
    """Searches a small space of plain networks with TPE for its share of the time."""
    import optuna

    _, data = task.load()
    until = time.time() + task.searching
    images, labels = np.asarray(data.train.images()), np.asarray(data.train.labels())
    held_out = (np.asarray(data.validation.images()), np.asarray(data.validation.labels()))
    paces: dict[int, float] = {}

    def make(trial: Any) -> keras.Model:
        return build_network(
            data,
            trial.suggest_categorical("width", WIDTHS),
            trial.suggest_int("stages", 1, 3),
            trial.suggest_int("convs", 1, 3),
            trial.suggest_categorical("kernel", (3, 5)),
            trial.suggest_float("dropout", 0.0, 0.5),
        )

    def objective(trial: Any) -> float:
        keras.utils.clear_session()
        keras.utils.set_random_seed(task.seed)
        model, rate = make(trial), trial.suggest_float("rate", 3e-4, 1e-2, log=True)
        if not _fits(task, model):
            raise optuna.TrialPruned
        since = time.monotonic()
        history = fit(model, images, labels, SEARCHED_EPOCHS, until, rate, held_out).history
        trained = len(history["accuracy"])
        if trained < SEARCHED_EPOCHS:
            trial.study.stop()
            raise optuna.TrialPruned
        paces[trial.number] = (time.monotonic() - since) / trained
        return float(max(history["val_accuracy"]))

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(
        multivariate=True, group=True, constant_liar=True, seed=task.seed
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    with suppress(KeyboardInterrupt):
        study.optimize(objective, timeout=max(1.0, until - time.time()))
    if not paces:
        raise CnnsearchError("no candidate was trained within the time")
    best = study.best_trial
    fixed = optuna.trial.FixedTrial(best.params)
    found = train_and_test(task, data, lambda: make(fixed), best.params["rate"], paces[best.number])
    return {**found, "candidates": len(paces), "val_score": best.value, "winner": str(best.params)}
