"""The ONNX graph computes what the Keras model does, for the same wiring and weights."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.architecture.wiring import trace
from cnnsearch.errors import CnnsearchError
from cnnsearch.exporters.formats.base import ExportJob
from cnnsearch.exporters.onnx_model import build_onnx_model
from cnnsearch.space.files import list_published_files, list_spaces
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training import checkpoint

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
# Keras's own conversion of its variables, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

VERBS: dict[str, Any] = {
    "input": [13, 12, 3],
    "classes": 5,
    "style": {"activation": "swish"},
    "stem": [
        {"type": "conv", "filters": 8, "kernel": [3, 5], "stride": 2, "activation": "mish"},
        {"type": "depthwise_conv", "multiplier": 2, "activation": "hard_swish"},
        {"type": "conv", "filters": 8, "groups": 2, "dilation": 2, "activation": "gelu"},
        {"type": "conv", "filters": 8, "padding": 1, "norm": False, "activation": "elu"},
        {
            "type": "branches",
            "paths": [
                [{"type": "max_pool", "size": 3, "stride": 1}],
                [{"type": "avg_pool", "size": 3, "stride": 1}],
                [{"type": "max_pool", "size": 3, "stride": 1, "padding": 1}],
                [{"type": "avg_pool", "size": 3, "stride": 1, "padding": 1}],
                [],
            ],
        },
        {"type": "local_response_norm"},
        {"type": "avg_pool", "size": 3, "stride": 2, "padding": "ceil"},
        {"type": "norm", "kind": "layer"},
        {"type": "norm"},
        {"type": "activation", "function": "relu6"},
    ],
    "stages": [
        {"block": "mbconv", "width": 8},
        {"block": {"type": "basic", "shortcut": "pad"}, "width": 24, "stride": 2},
        {"type": "activation", "function": "leaky_relu"},
        {"type": "activation", "function": "tanh"},
    ],
    "head": {
        "layers": [
            {"type": "flatten"},
            {"type": "dense_layer", "units": 7, "activation": "sigmoid"},
        ]
    },
}


ROUNDING = 8.0
"""Times Keras's own rounding that ONNX Runtime, which sums in another order, may be wrong."""
YOUNGER_VERBS: dict[str, Any] = {
    "input": [13, 12, 3],
    "classes": 5,
    "style": {"activation": "prelu", "norm_groups": 4, "torch_padding": True},
    "stem": [
        {"type": "conv", "filters": 8},
        {"type": "norm", "kind": "group"},
        {"type": "norm", "kind": "global_response"},
        {"type": "depthwise_conv", "bias": True, "dilation": 2, "activation": "gelu_tanh"},
        {"type": "squeeze_excite", "ratio": 2.0, "divisor": 8, "gate": "hard_sigmoid"},
        {"type": "eca"},
        {"type": "channel_shuffle", "groups": 4},
        {"type": "blur_pool", "size": 5, "stride": 1},
        {"type": "activation", "function": "quick_gelu"},
        {
            "type": "branches",
            "join": "multiply",
            "activation": "hard_sigmoid",
            "paths": [
                [{"type": "global_pool"}, {"type": "dense_layer", "units": 4}],
                [{"type": "channel_split", "take": [1]}, {"type": "drop_path"}],
                [{"type": "conv", "filters": 4, "kernel": 1}],
            ],
        },
    ],
    "stages": [
        {
            "block": {
                "type": "mbconv",
                "expansion": 2.5,
                "divisor": 4,
                "attention": {"type": "eca", "position": "end"},
            },
            "width": 8,
            "stride": 2,
            "downsample": "blur_pool",
            "activation": "hard_swish",
        },
        {"block": "basic", "width": 16, "stride": 2, "norm": "group", "activation": "relu"},
        {"type": "activation"},
    ],
}


def difference(architecture: Architecture, tmp_path: Path) -> float:
    """How wrong ONNX Runtime's probabilities are, in units of how wrong Keras's in float32 are.

    What is right, Keras computes with the same weights in float64: some networks amplify rounding.
    """
    import keras

    from cnnsearch.training.model import build

    keras.utils.set_random_seed(0)
    height, width, channels = architecture.input
    mean, std = [0.4] * channels, [0.3] * channels
    model = build(architecture, mean=mean, std=std)
    rng = np.random.default_rng(1)
    for variable in model.weights:  # as they never are at the start
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif variable.name in ("beta", "bias", "moving_mean"):
            variable.assign(rng.normal(0, 0.1, variable.shape))
    checkpoint.save_weights(model, tmp_path / "best.npz")
    size, weights = [height, width], str(tmp_path / "best.npz")
    job = ExportJob(architecture.to_json(), mean, std, size, size, None, weights)
    session = onnxruntime.InferenceSession(build_onnx_model(job).SerializeToString())
    images = rng.integers(0, 256, (2, height, width, channels), dtype=np.uint8)
    (found,) = session.run(None, {"image": images})
    precise = build(architecture, mean=mean, std=std, policy="float64")
    precise.set_weights(model.get_weights())
    rounded, exact = (
        keras.ops.convert_to_numpy(keras.ops.softmax(keras.ops.cast(each(images), "float64")))
        for each in (model, precise)
    )
    assert exact.std() > min(1e-3, 0.1 * exact.mean())  # there is something to tell apart
    rounding = np.abs(rounded - exact).max()
    assert rounding < 1e-3
    return float(np.abs(found - exact).max() / max(rounding, 1e-6))


def test_verbs(tmp_path: Path) -> None:
    assert difference(Architecture.from_data(VERBS), tmp_path) < ROUNDING


def test_younger_verbs(tmp_path: Path) -> None:
    architecture = Architecture.from_data(YOUNGER_VERBS)
    assert difference(architecture, tmp_path) < ROUNDING
    activations = [step.kind for step in trace(architecture) if step.params and "lu" in step.kind]
    assert activations == ["prelu"]


def test_cells_that_halve_odd_maps_and_multiplied_branches(tmp_path: Path) -> None:
    """Shifted reductions, zeros that pooling counts, gates as large as their maps."""
    nodes = [
        {"inputs": [0, 1], "ops": ["max_pool_3x3", "avg_pool_3x3"]},
        {"inputs": [2, 0], "ops": ["avg_pool_3x3", "identity"]},
        {"inputs": [1, 3], "ops": ["dilated_3x3", "separable_3x3"]},
    ]
    cell = {"type": "cell", "nodes": nodes, "zero_padding": True}
    stages = [
        {"block": cell, "width": 6, "stride": 2},
        {"block": cell, "width": 8, "stride": 2},
        {"block": {**cell, "output": [0, 4]}, "width": 8, "depth": 2},
        {"block": "starnet", "width": 8},
    ]
    network = {"input": [13, 12, 3], "classes": 5, "stages": stages}
    assert difference(Architecture.from_data(network), tmp_path) < ROUNDING


def test_prototypes_tables_and_subsampling(tmp_path: Path) -> None:
    assert difference(SearchSpace.load("lenet-5").decode_first().architecture, tmp_path) < ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(list_spaces()))
def test_networks_of_every_space(name: str, tmp_path: Path) -> None:
    space = SearchSpace.load(name)
    for seed in range(3):
        architecture = cheap(space, random.Random(seed))
        assert difference(architecture, tmp_path) < ROUNDING


def cheap(space: SearchSpace, rng: random.Random) -> Architecture:
    while True:
        try:
            found = space.decode(space.sample(rng)).architecture
            if count(found).macs < 5e8:
                return found
        except CnnsearchError:
            continue


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("alexnet-2014", "convnext-tiny", "densenet-121", "googlenet", "inception-v3"),
        *("mobilenet-v2", "resnet-50-v2", "squeezenet-1.1", "xception", "fractalnet-20"),
    ],
)
def test_published_networks(name: str, tmp_path: Path) -> None:
    assert name in list_published_files()
    assert difference(SearchSpace.load(name).decode_first().architecture, tmp_path) < ROUNDING
