import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.space.search_space import SearchSpace

keras_tuner = pytest.importorskip("keras_tuner")

TEXT = """
input: [8, 8, 1]
classes: 3
stem:
  - {type: conv, filters: {choice: [4, 8]}}
stages:
  - block:
      choice:
        - {type: plain, kernel: {choice: [1, 3]}}
        - {type: basic}
    depth: {int: [1, 2]}
    width: 8
    stride: 2
recipe:
  learning_rate: {log: [1e-3, 1e-2]}
  batch_size: {choice: [16, 32]}
  epochs: 2
"""


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace.from_text(TEXT)


def data(count: int = 64) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count, dtype="int32") % 3
    images = (
        np.full((count, 8, 8, 1), 40, "uint8") + (labels * 60).astype("uint8")[:, None, None, None]
    )
    return images, labels


class Tuner(keras_tuner.engine.base_tuner.BaseTuner):
    """As Keras Tuner's own, less ``tensorboard``."""

    def run_trial(self, trial: Any, x: Any, y: Any, **options: Any) -> Any:
        hp = trial.hyperparameters
        model = self.hypermodel.build(hp)
        history = self.hypermodel.fit(hp, model, x, y, validation_data=(x, y), verbose=0, **options)
        self.ran = [*getattr(self, "ran", []), (dict(hp.values), model, history)]
        return max(history.history["val_accuracy"])


def tuner(space: SearchSpace, directory: Path, trials: int, **options: Any) -> Tuner:
    oracle = keras_tuner.oracles.RandomSearchOracle(
        objective=keras_tuner.Objective("val_accuracy", "max"), max_trials=trials, seed=3
    )
    return Tuner(oracle, space.hypermodel(**options), directory=str(directory))


def test_any_hyperparameters_build_a_model(space: SearchSpace) -> None:
    model = space.hypermodel(epochs=2).build(keras_tuner.HyperParameters())
    assert model.output_shape == (None, 3)
    assert model.optimizer is not None


def test_hyperparameters_are_declared_without_building(space: SearchSpace) -> None:
    hp = keras_tuner.HyperParameters()
    space.hypermodel().declare_hyperparameters(hp)
    assert [p.name for p in hp.space] == [p.name for p in space.parameters]
    space.decode(hp.values)


def test_what_the_user_fixed_stays_fixed(space: SearchSpace) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Fixed("recipe.batch_size", 16)
    model = space.hypermodel()
    model.declare_hyperparameters(hp)
    assert [p.name for p in hp.space].count("recipe.batch_size") == 1
    assert model.candidate(hp).recipe.batch_size == 16


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras Tuner's threading.currentThread
def test_a_tuner_trains_candidates_of_the_space(space: SearchSpace, tmp_path: Path) -> None:
    search = tuner(space, tmp_path, trials=2, steps_per_epoch=4)
    assert {hp.name for hp in search.oracle.hyperparameters.space} == {
        p.name for p in space.parameters
    }
    search.search(*data(), epochs=1)
    assert len(search.ran) == 2
    for values, model, history in search.ran:
        assert model.count_params() == space.cost(values).params_total
        assert len(history.history["loss"]) == 1
    best = search.oracle.get_best_trials()[0]
    assert 0.0 <= best.score <= 1.0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_recipe_gives_epochs_and_batch_size(space: SearchSpace, tmp_path: Path) -> None:
    search = tuner(space, tmp_path, trials=1, steps_per_epoch=4)
    search.search(*data())
    ((values, model, history),) = search.ran
    assert len(history.history["loss"]) == 2
    steps = 2 * -(-64 // values["recipe.batch_size"])
    assert int(model.optimizer.iterations) == steps


STOCK = """
import warnings; warnings.simplefilter("ignore")
import keras_tuner, numpy as np, sys
from cnnsearch.space.search_space import SearchSpace
labels = np.arange(64, dtype="int32") % 3
images = np.full((64, 8, 8, 1), 40, "uint8") + (labels * 60).astype("uint8")[:, None, None, None]
space = SearchSpace.from_text(sys.argv[1])
tuner = keras_tuner.RandomSearch(
    space.hypermodel(steps_per_epoch=4), objective="val_accuracy", max_trials=2, seed=1,
    directory=sys.argv[2],
)
tuner.search(images, labels, validation_data=(images, labels), epochs=1, verbose=0)
assert [t.status for t in tuner.oracle.trials.values()] == ["COMPLETED"] * 2
print("trained", len(tuner.get_best_models(1)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_an_ordinary_random_search_takes_it(backend: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if backend == "tensorflow" and importlib.util.find_spec("tensorboard") is None:
        pytest.skip("on TensorFlow, Keras Tuner's own Tuner.run_trial needs tensorboard")
    done = subprocess.run(
        [sys.executable, "-c", STOCK, TEXT, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "trained 1" in done.stdout
