"""int8 models with maps that are 0 for all calibration images."""

from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import softmax

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.training.dead_maps import DEAD, widen_dead_maps
from cnnsearch.training.inference import predict_batches
from cnnsearch.training.int8 import _open
from cnnsearch.training.litert import convert
from cnnsearch.training.model import build

# Keras's own conversion of its variables, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NETWORK = {
    "input": [8, 8, 3],
    "classes": 4,
    "stages": [{"block": {"type": "preact_basic", "squeeze_ratio": 0.0625}, "width": 16}],
}
IMAGES = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), np.uint8)


def make_model() -> Any:
    """Returns a model whose one squeezed channel is always 0, and whose gates differ."""
    keras.utils.set_random_seed(0)
    model = build(Architecture.from_data(NETWORK), mean=(0.5,) * 3, std=(0.25,) * 3)
    rng = np.random.default_rng(1)
    model.get_layer("stages.0.0.conv_3").bias.assign([-30.0])  # far below what the kernel adds
    model.get_layer("stages.0.0.conv_4").bias.assign(np.linspace(-20, 20, 16))
    model.get_layer("head.dense").kernel.assign(rng.normal(0, 3, (16, 4)))
    return model


def convert_to_int8(model: Any) -> bytes:
    def calibrate() -> Any:
        yield from ([image[None].astype(np.float32)] for image in IMAGES)

    return convert(model, (8, 8), (1, 8, 8, 3), "int8", calibrate)


def list_scales(content: bytes) -> list[float]:
    from tensorflow.lite.tools import flatbuffer_utils

    graph = flatbuffer_utils.convert_bytearray_to_object(bytearray(content)).subgraphs[0]
    found = [t.quantization.scale for t in graph.tensors if t.type == 9]  # int8
    return [float(scale.max()) for scale in found if scale is not None]


def test_it_loads_and_agrees_with_the_float_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    with monkeypatch.context() as patched:
        patched.setattr("cnnsearch.training.litert.widen_dead_maps", lambda content: content)
        unrepaired = convert_to_int8(model)
    assert min(list_scales(unrepaired)) < DEAD, "otherwise this tests nothing"
    repaired = widen_dead_maps(unrepaired)
    assert min(list_scales(repaired)) > 100 * DEAD and len(repaired) == len(unrepaired)
    expected = softmax(np.asarray(model(IMAGES, training=False)), axis=1)
    found = predict_batches(_open(repaired, 1), lambda rows: IMAGES[rows], len(IMAGES), size=1)
    assert np.abs(found - expected).max() < 0.05


def test_a_model_without_such_maps_stays_as_it_is() -> None:
    data = {**NETWORK, "stages": [{"block": "plain", "width": 16}]}
    content = convert_to_int8(build(Architecture.from_data(data), mean=(0.5,) * 3, std=(0.25,) * 3))
    assert widen_dead_maps(content) == content
