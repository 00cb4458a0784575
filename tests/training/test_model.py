"""The built Keras model has exactly the counted cost: shipped spaces, and every family."""

import random

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.errors import ArchitectureError
from cnnsearch.space.files import list_spaces
from cnnsearch.space.search_space import SearchSpace
from tests.measuring import measure


def agree(name: str, samples: int, seed: int) -> None:
    from cnnsearch.training.model import build

    space, rng = SearchSpace.load(name), random.Random(seed)
    wired = 0
    while wired < samples:
        values = space.sample(rng)
        architecture = space.decode(values).architecture
        try:
            counted = count(architecture)
        except ArchitectureError:
            continue
        channels = architecture.input[2]
        model = build(architecture, mean=[0.5] * channels, std=[0.2] * channels)
        assert measure(model) == counted, values
        assert model.output_shape == (None, architecture.classes)
        wired += 1


@pytest.mark.parametrize("name", list_spaces())
def test_built_models_have_the_counted_cost(name: str) -> None:
    agree(name, 1, seed=1)


@pytest.mark.networks
@pytest.mark.parametrize("name", list_spaces())
def test_four_built_models_have_the_counted_cost(name: str) -> None:
    agree(name, 4, seed=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_spaces())
def test_two_hundred_built_models_have_the_counted_cost(name: str) -> None:
    agree(name, 200, seed=2)


def test_the_model_reads_raw_pixels_of_another_size_and_normalizes_them() -> None:
    import numpy as np

    from cnnsearch.training.model import build, preprocess

    net = Architecture.from_data({"input": [8, 8, 3], "classes": 3})
    model = build(net, mean=[0.1, 0.2, 0.3], std=[0.5, 0.4, 0.3], image=(12, 10))
    assert model.input_shape == (None, 12, 10, 3)
    assert model.inputs[0].dtype == "uint8"
    pixels = np.full((1, 8, 8, 3), 255, "uint8")
    values = np.asarray(preprocess(pixels, (8, 8), [0.1, 0.2, 0.3], [0.5, 0.4, 0.3]))
    np.testing.assert_allclose(values[0, 0, 0], [0.9 / 0.5, 0.8 / 0.4, 0.7 / 0.3], rtol=1e-5)


def test_layers_are_named_by_their_place() -> None:
    from cnnsearch.training.model import build

    data = {
        "input": [8, 8, 1],
        "classes": 3,
        "stages": [{"block": "basic", "width": 4, "depth": 2}],
    }
    names = {layer.name for layer in build(Architecture.from_data(data)).layers}
    assert {"stages.0.0.conv", "stages.0.1.conv_2", "head.dense"} <= names


def test_what_cannot_be_wired_is_refused_before_anything_is_built() -> None:
    from cnnsearch.training.model import build

    data = {
        "input": [2, 2, 1],
        "classes": 3,
        "stages": [{"block": "basic", "width": 4, "stride": 2}] * 2,
    }
    with pytest.raises(ArchitectureError, match=r"stages.1.0: stride 2 on a 1x1 map"):
        build(Architecture.from_data(data))


def test_drop_path_grows_with_depth_and_acts_in_training_only() -> None:
    import keras
    import numpy as np

    from cnnsearch.training.model import build

    stage = {"block": "basic", "width": 4, "depth": 4}
    data = {"input": [8, 8, 1], "classes": 3, "stages": [stage], "drop_path": 0.4}
    model = build(Architecture.from_data(data))
    rates = [x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)]
    np.testing.assert_allclose(rates, [0.1, 0.2, 0.3, 0.4])
    images = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 1)).astype("uint8")
    first, second = model(images, training=False), model(images, training=False)
    np.testing.assert_array_equal(np.asarray(first), np.asarray(second))
