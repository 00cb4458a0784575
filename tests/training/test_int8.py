"""The objective int8_accuracy: what is quantized, what it costs, what it needs."""

from pathlib import Path

import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.errors import CnnsearchError
from cnnsearch.exporters.formats.base import ExportJob
from cnnsearch.exporters.formats.litert import LiteRT
from cnnsearch.exporters.inputs import write_calibration_images
from cnnsearch.exporters.worker import fold_job
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.checkpoint import BEST
from cnnsearch.training.messages import Measurement
from cnnsearch.training.metrics import compute_class_metrics
from cnnsearch.training.objectives import find_objective
from tests.training.train import train

# Keras's own conversion of its variables, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NETWORK = {
    "input": [8, 8, 1],
    "classes": 10,
    "stem": [{"type": "conv", "filters": 12}],
    "stages": [{"block": "repvgg", "width": 16, "stride": 2}],  # folded before quantization
}


def predict_with_the_export(data: Dataset, folder: Path) -> np.ndarray:
    """Returns the classes that an int8 LiteRT export of the best epoch predicts."""
    write_calibration_images(data.train, folder / "calibration.npy", data.image)
    job = ExportJob(
        architecture=Architecture.from_data(NETWORK).to_json(), mean=list(data.mean),
        std=list(data.std), image=list(data.image), size=None, batch=None,
        weights=str(folder / BEST), calibration=str(folder / "calibration.npy"),
    )  # fmt: skip
    LiteRT().make(fold_job(job, folder), folder / "model.tflite", "int8")
    images = data.validation.images()
    return LiteRT().load(folder / "model.tflite").predict_all(images).argmax(axis=1)


def test_it_is_the_accuracy_of_the_best_epochs_int8_export(digits: Dataset, tmp_path: Path) -> None:
    found = train(
        Architecture.from_data(NETWORK), TrainingRecipe(batch_size=32, learning_rate=0.01), digits,
        epochs=2, checkpoint_dir=tmp_path, objective="int8_accuracy",
    )  # fmt: skip
    labels = digits.validation.labels()
    expected = float((predict_with_the_export(digits, tmp_path) == labels).mean())
    assert found.metrics["val_int8_accuracy"] == pytest.approx(expected, abs=1.5 / len(labels))
    assert found.score("int8_accuracy") == found.metrics["val_int8_accuracy"] > 0.3
    assert found.metrics["val_accuracy"] > 0.3  # both are recorded


def test_epochs_are_compared_in_float_and_computed_without_it() -> None:
    objective = find_objective("int8_accuracy")
    assert objective.quantized
    assert objective.per_epoch.metric == "val_accuracy"
    labels = np.array([0, 1])
    assert "val_int8_accuracy" not in compute_class_metrics(labels, labels, "val_")


def test_nothing_held_out_scores_by_the_training_accuracy() -> None:
    found = Measurement({}, 0.75, 0, 1, 0, 1, 1, 0.9, 1, 1)
    assert found.score("int8_accuracy") == 0.75


def test_what_it_needs_is_said_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = find_objective("int8_accuracy")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(
        CnnsearchError, match=r"int8_accuracy: quantizes with TensorFlow, but .*jax"
    ):
        objective.check_installed()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CnnsearchError, match=r"pip install 'cnnsearch\[litert\]'"):
        objective.check_installed()
