"""Training for int8: what is rounded, against TensorFlow's own operators and LiteRT's files."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training import rounding
from cnnsearch.training.history import Progress
from cnnsearch.training.litert import convert
from cnnsearch.training.model import build
from cnnsearch.training.phases import plan_phases
from cnnsearch.training.rounding import find_axes, round_tensor, round_weights, simulate_int8
from tests.training.train import train

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BLOCKS = ("plain", "basic", "inception", "dense", "separable", "inverted_residual")


def make(block: str) -> Architecture:
    return Architecture.from_data(
        {
            "input": [8, 8, 1], "classes": 10, "stem": [{"type": "conv", "filters": 16}],
            "stages": [{"block": block, "width": 32, "depth": 2}],
        }
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_tensors_are_rounded_as_tensorflow_rounds_them(seed: int) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(4, 5, 5, 3)) * rng.uniform(0.1, 30) + rng.uniform(-5, 5)).astype("f")
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    expected = tf.quantization.fake_quant_with_min_max_args(x, low, high).numpy()
    found = np.asarray(round_tensor(keras.ops.convert_to_tensor(x)))
    step = (high - low) / 255
    different = np.abs(found - expected) > 1e-3 * step
    assert different.mean() < 0.01, "more than ties are rounded otherwise"
    assert np.abs(found - x).max() <= 0.51 * step + 1e-6
    assert 100 < len(np.unique(found)) <= 256


@pytest.mark.parametrize("kind", [keras.layers.Conv2D, keras.layers.DepthwiseConv2D])
def test_weights_are_rounded_in_each_output_channel(kind: Any) -> None:
    import tensorflow as tf

    layer = kind(6, 3) if kind is keras.layers.Conv2D else kind(3, depth_multiplier=2)
    layer.build((None, 8, 8, 4))
    kernel = np.array(layer.kernel)
    found = np.asarray(round_weights(layer.kernel.value, find_axes(layer)))
    channels = kernel.reshape(-1, 6 if kind is keras.layers.Conv2D else 8)
    most = np.abs(channels).max(axis=0)
    expected = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        channels, -most, most, narrow_range=True
    )
    np.testing.assert_allclose(found.reshape(channels.shape), expected, atol=1e-6)
    assert not np.allclose(found, kernel, atol=1e-4)


@pytest.mark.parametrize("block", BLOCKS)
def test_it_rounds_where_an_int8_file_rounds(
    block: str, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteRT's file has a tensor for each that is rounded, nearly all of its steps, and its errors.

    In size, that is: the file rounds pixels otherwise, and what differs once is rounded otherwise
    everywhere behind it. It has more tensors, as it rounds again what it concatenates.
    """
    keras.utils.set_random_seed(0)
    model = build(make(block), mean=digits.mean, std=digits.std)
    for variable in model.weights:  # as after a training: normalization that does something
        if "variance" in variable.path or "gamma" in variable.path:
            variable.assign(np.random.default_rng(0).uniform(0.5, 1.5, variable.shape))
    images = digits.train.images()[:64]
    head = model.weights[-2]
    head.assign(2 * head / np.std(model(images)))  # of probabilities that errors change
    steps, file = run_int8_file(model, images)
    found, rounded = [], round_tensor

    def spy(x: Any) -> Any:
        if hasattr(x, "numpy"):  # not while the model is made
            found.append((max(0.0, np.max(x)) - min(0.0, np.min(x))) / 255)
        return rounded(x)

    monkeypatch.setattr(rounding, "round_tensor", spy)
    int8, plain = simulate_int8(model)(images, training=False), model(images, training=False)
    found = found[2:]  # of pixels, which the converter scales otherwise
    assert len(found) == len(steps) or block in ("inception", "dense")
    assert len(found) <= len(steps)
    alike = [any(step == pytest.approx(mine, rel=0.05) for step in steps) for mine in found]
    assert sum(alike) >= 0.8 * len(found), (sorted(found), sorted(steps))
    int8, plain = (np.asarray(keras.ops.softmax(logits)) for logits in (int8, plain))
    int8 = np.round(256 * int8) / 256
    assert 0.5 < np.abs(int8 - plain).mean() / np.abs(file - plain).mean() < 2.0


def run_int8_file(model: Any, images: Any) -> tuple[list[float], Any]:
    """Returns the steps of the tensors behind the pixels in LiteRT's file, and probabilities."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    shape = images.shape
    content = convert(model, shape[1:3], shape, "int8", lambda: iter([[images.astype("f")]]))
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # XNNPACK refuses untrained weights
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    scales = [
        each["quantization_parameters"]["scales"]
        for each in interpreter.get_tensor_details()
        if len(each["shape"]) > 1 and each["shape"][0] == len(images)
    ]
    steps = [float(scale[0]) for scale in scales if len(scale) == 1]
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return steps[4:-1], output  # not the image, the pixels' three tensors, and the probabilities


@pytest.mark.parametrize("block", BLOCKS)
def test_every_weight_has_a_gradient_and_none_is_new(block: str, digits: Dataset) -> None:
    import tensorflow as tf

    model = build(make(block), mean=digits.mean, std=digits.std)
    simulation = simulate_int8(model)
    images, labels = digits.train.images()[:32], digits.train.labels()[:32]
    gradients = []
    for each in (model, simulation):
        keras.utils.set_random_seed(0)
        with tf.GradientTape() as tape:
            logits = each(images, training=True)
            loss = keras.ops.mean(
                keras.losses.sparse_categorical_crossentropy(labels, logits, True)
            )
        gradients.append(tape.gradient(loss, [v.value for v in model.trainable_variables]))
    for variable, plain, rounded in zip(model.trainable_variables, *gradients, strict=True):
        cosine = np.sum(np.asarray(plain) * np.asarray(rounded)) / (
            np.linalg.norm(plain) * np.linalg.norm(rounded) + 1e-12
        )
        assert cosine > 0.5 or np.linalg.norm(plain) < 1e-5, (variable.path, cosine)


def test_the_last_epochs_round() -> None:
    recipe = TrainingRecipe(batch_size=64, quantize_aware=0.3)
    phases = plan_phases(recipe, False, 10)
    assert [(phase.last, phase.rounds) for phase in phases] == [(7, False), (10, True)]
    assert [phase.first for phase in phases] == [1, 1], "the schedule goes on"
    assert len(plan_phases(recipe, False, 1)) == 1


def test_the_best_epoch_is_one_that_rounded(digits: Dataset, tmp_path: Path) -> None:
    """Earlier ones may be more accurate in float; int8 is what they were not trained for."""
    recipe = TrainingRecipe(batch_size=32, learning_rate=0.01, quantize_aware=0.4)
    found = train(make("plain"), recipe, digits, epochs=5, checkpoint_dir=tmp_path)
    assert found.best_epoch in (4, 5)
    assert found.metrics["val_accuracy"] > 0.6
    before = Progress(3, 0, best_epoch=0)
    before.record_epoch(4, {"val_accuracy": 0.1, "val_loss": 9.0})
    assert before.best_epoch == 4
