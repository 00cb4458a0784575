"""Peers that bring their own spaces: Keras Tuner's HyperResNet, and AutoKeras.

Neither knows a budget. AutoKeras does not run on today's Keras: ``AUTOKERAS_PYTHON`` names the
Python of an environment with ``autokeras==3.0.0 keras==3.5.0 tensorflow==2.18.1 tensorboard``.
"""

import json
import math
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import keras_tuner
import numpy as np
from handwritten import count_macs
from tuners import MANY, Deadline, Pace, TimeIsUp, make_batches, search_until_time

from cnnsearch.data import Dataset
from cnnsearch.data.views import join_validation
from cnnsearch.errors import CnnsearchError

if TYPE_CHECKING:
    from contenders import Task

BATCH = 64
EPOCHS = 5  # of a candidate, as of the other contenders
EVALUATION = 30.0  # seconds that AutoKeras leaves for the test split


class ResNets(keras_tuner.HyperModel):
    """HyperResNet on our batches; notes how long an epoch of each candidate takes."""

    def __init__(self, data: Dataset, until: float) -> None:
        super().__init__()
        shape = np.shape(data.train.images())[1:]
        self._inner = keras_tuner.applications.HyperResNet(input_shape=shape, classes=data.classes)
        self._data, self._until = data, until
        self.pace: dict[str, float] = {}

    def build(self, hp: Any) -> Any:
        model = self._inner.build(hp)
        if time.time() > self._until:
            raise TimeIsUp("the time is up")
        return model

    def fit(self, hp: Any, model: Any, *_: Any, **kwargs: Any) -> Any:
        """Trains for some epochs."""
        data, pace = self._data, Pace()
        history = model.fit(
            encode(data.train.images(), data.train.labels(), data),
            validation_data=encode(data.validation.images(), data.validation.labels(), data, False),
            epochs=EPOCHS,
            callbacks=[*kwargs.pop("callbacks", ()), Deadline(self._until), pace],
            verbose=0,
        )
        self.pace[json.dumps(hp.values)] = pace.get_median()
        return history


def encode(images: Any, labels: Any, data: Dataset, training: bool = True) -> Any:
    """Returns batches of values from 0 to 1 and of one-hot labels."""
    import tensorflow as tf

    if training:
        batches = make_batches(np.asarray(images), np.asarray(labels), BATCH, data.flip)
    else:
        batches = tf.data.Dataset.from_tensor_slices((np.asarray(images), np.asarray(labels)))
        batches = batches.batch(BATCH)
    classes = data.classes
    return batches.map(lambda x, y: (tf.cast(x, tf.float32) / 255.0, tf.one_hot(y, classes)))


def search_hyperresnet(task: "Task") -> dict[str, Any]:
    """Searches HyperResNet at random for its share of the time, then trains the best."""
    _, data = task.load()
    until = time.time() + task.searching
    model = ResNets(data, until)
    tuner = keras_tuner.RandomSearch(
        model, "val_accuracy", max_trials=MANY, seed=task.seed + 1, max_retries_per_trial=0,
        max_consecutive_failed_trials=MANY, directory=str(task.folder), project_name="tuner",
    )  # fmt: skip
    tuner._configure_tensorboard_dir = lambda *_: None  # needs tensorboard, without any use of it
    best, candidates = search_until_time(tuner)
    both = join_validation(data).train
    images, labels = np.asarray(both.images()), both.labels()
    pace = model.pace[json.dumps(best.hyperparameters.values)]
    epochs = task.fit_epochs(pace * len(images) / data.train.count)
    keras.utils.clear_session()
    keras.utils.set_random_seed(task.seed)
    final = model._inner.build(best.hyperparameters)
    final.fit(
        encode(images, labels, data), epochs=epochs, verbose=0, callbacks=[Deadline(task.until)]
    )
    tested = encode(data.test.images(), data.test.labels(), data, False)
    test = final.evaluate(tested, verbose=0, return_dict=True)
    return {
        "test_accuracy": test["accuracy"], "macs": count_macs(final), "final_epochs": epochs,
        "params": sum(math.prod(w.shape) for w in final.trainable_weights),
        "candidates": candidates, "val_score": best.score,
        "winner": f"ResNet {best.hyperparameters.values['version']}",
    }  # fmt: skip


def run_autokeras(task: "Task") -> dict[str, Any]:
    """Lets AutoKeras search and train for the whole time."""
    python = os.environ.get("AUTOKERAS_PYTHON")
    if not python:
        raise CnnsearchError("AUTOKERAS_PYTHON: the Python of an environment with AutoKeras")
    _, data = task.load()
    file = task.folder / "images.npz"
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    arrays = {f"{name}_images": split.images() for name, split in splits.items()}
    arrays |= {f"{name}_labels": split.labels() for name, split in splits.items()}
    np.savez(file, allow_pickle=False, **arrays)
    program = Path(__file__).with_name("autokeras_search.py")
    given = [str(file), str(task.until - EVALUATION), str(task.seed), str(task.folder)]
    done = subprocess.run(
        [python, str(program), *given], capture_output=True, text=True, check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )  # fmt: skip
    if done.returncode:
        raise CnnsearchError((done.stderr.strip().splitlines() or ["no message"])[-1])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
