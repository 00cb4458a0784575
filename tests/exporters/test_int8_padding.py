"""int8 models of networks that pad a map, against the float model."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import softmax

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.exporters.formats.base import ExportFormat, ExportJob
from cnnsearch.exporters.formats.litert import LiteRT
from cnnsearch.exporters.formats.onnx import Onnx
from cnnsearch.training.checkpoint import save_weights
from cnnsearch.training.model import build

# Keras's own conversion of its variables, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIDE, CLASSES = 10, 4


def make_images(rng: np.random.Generator) -> np.ndarray:
    """Returns images that differ in colour."""
    images = rng.integers(0, 256, (32, SIDE, SIDE, 3), np.uint8)
    return images // rng.integers(1, 9, (32, 1, 1, 3), np.uint8)


def predict(model: Any, images: np.ndarray) -> np.ndarray:
    return softmax(np.asarray(model(images, training=False)), axis=1)


@pytest.mark.parametrize("form", [LiteRT(), Onnx()], ids=lambda form: form.name)
@pytest.mark.parametrize("stride", [2, 3])  # the last window lacks one row, or two
def test_the_range_of_a_padded_map_is_that_of_its_values(
    form: ExportFormat, stride: int, tmp_path: Path
) -> None:
    """A filler of -3e38 as in float left one level of 256 to all values: every image was alike."""
    keras.utils.set_random_seed(0)
    pool = {"type": "max_pool", "size": 3, "stride": stride, "padding": "ceil"}
    network = Architecture.from_data(
        {
            "input": [SIDE, SIDE, 3], "classes": CLASSES, "style": {"activation": "swish"},
            "stem": [{"type": "conv", "filters": 8}], "stages": [pool],
        }
    )  # fmt: skip
    model: Any = build(network, mean=(0.5,) * 3, std=(0.25,) * 3)
    rng = np.random.default_rng(1)
    model.get_layer("head.dense").kernel.assign(rng.normal(0, 1, (8, CLASSES)))
    save_weights(model, tmp_path / "best.npz")
    images, calibration = make_images(rng), tmp_path / "calibration.npy"
    np.save(calibration, images)
    job = ExportJob(
        architecture=network.to_json(), mean=[0.5] * 3, std=[0.25] * 3, image=[SIDE, SIDE],
        size=None, batch=None, weights=str(tmp_path / "best.npz"), calibration=str(calibration),
    )  # fmt: skip
    path = tmp_path / f"model{form.suffix}"
    form.make(job, path, "int8")
    expected = predict(model, images)
    assert expected.std(axis=0).max() > 0.1, "otherwise this tests nothing"
    assert np.abs(form.load(path).predict_all(images) - expected).max() < 0.1
