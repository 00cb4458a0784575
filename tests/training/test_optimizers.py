"""The fused optimizers give Keras's numbers; schedules have the shape they are named after."""

from typing import Any

import keras
import numpy as np
import pytest

from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.optimizers import FusedOptimizer, Schedule, create_keras_optimizer

STEPS = 12


def variables() -> list[Any]:
    rng = np.random.default_rng(0)
    kernels = [(3, 3, 2, 4), (3, 3, 4, 6), (1, 1, 4, 6), (3, 3, 4, 6), (6, 10)]
    shapes = [("bias", (4,)), ("gamma", (4,)), ("depthwise_kernel", (3, 3, 4, 1))]
    shapes += [("kernel", shape) for shape in kernels]
    return [keras.Variable(rng.normal(size=s), name=n, dtype="float32") for n, s in shapes]


def gradients(step: int, of: list[Any]) -> list[Any]:
    rng = np.random.default_rng([1, step])
    scale = 10.0 if step % 3 else 0.1  # above and below the bound of clipping
    return [
        keras.ops.convert_to_tensor(scale * rng.normal(size=v.shape).astype("float32")) for v in of
    ]


def values(of: list[Any]) -> list[Any]:
    return [np.array(np.asarray(v)) for v in of]


@pytest.mark.parametrize("clip_norm", [None, 5.0])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", ["adamw", "sgd", "lion", "rmsprop", "muon"])
def test_fused_is_what_keras_does(name: Any, momentum: float, clip_norm: float | None) -> None:
    recipe = TrainingRecipe(
        optimizer=name, momentum=momentum, clip_norm=clip_norm, learning_rate=0.02, weight_decay=0.5
    )
    ours, theirs = variables(), variables()
    fused = FusedOptimizer(recipe, STEPS, ours)
    reference = create_keras_optimizer(recipe, STEPS, theirs)
    reference.build(theirs)
    for step in range(STEPS):
        fused.apply(gradients(step, ours))
        reference.apply(gradients(step, theirs))
    for one, other, start in zip(values(ours), values(theirs), values(variables()), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)
        assert not np.allclose(one, start)


def test_weight_decay_moves_kernels_and_nothing_else() -> None:
    recipe = TrainingRecipe(weight_decay=1.0, learning_rate=0.1, warmup=0.0, schedule="constant")
    found = variables()
    before = values(found)
    FusedOptimizer(recipe, STEPS, found).apply([None] * len(found))
    shrunk = [np.allclose(a, 0.9 * b) for a, b in zip(values(found), before, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(values(found), before, strict=True)]
    assert shrunk == [False, False, True, True, True, True, True, True]
    assert same == [not each for each in shrunk]


def test_the_average_follows_the_weights_and_takes_their_place_for_a_while() -> None:
    found = variables()
    optimizer = FusedOptimizer(TrainingRecipe(ema=0.99, learning_rate=0.1), STEPS, found)
    expected = values(found)
    for step in range(STEPS):
        optimizer.apply(gradients(step, found))
        decay = min(0.99, (2 + step) / (11 + step))
        pairs = zip(expected, values(found), strict=True)
        expected = [decay * a + (1 - decay) * w for a, w in pairs]
    weights = values(found)
    with optimizer.averaged_weights():
        for value, average in zip(values(found), expected, strict=True):
            np.testing.assert_allclose(value, average, rtol=1e-4, atol=1e-5)
    for value, weight in zip(values(found), weights, strict=True):
        np.testing.assert_array_equal(value, weight)


def rates(**recipe: Any) -> list[float]:
    schedule = Schedule(TrainingRecipe(learning_rate=2.0, **recipe), 100)
    return [float(schedule(step)) for step in range(100)]


def test_cosine_climbs_for_its_warm_up_and_falls_to_zero() -> None:
    found = rates(schedule="cosine", warmup=0.2)
    assert found[0] == pytest.approx(0.1)
    np.testing.assert_allclose(np.diff(found[:20]), 0.1, rtol=1e-4)
    assert max(found) == pytest.approx(2.0)
    assert found[60] == pytest.approx(1.0)
    assert found[-1] < 0.002
    assert sorted(found[20:], reverse=True) == found[20:]


def test_one_cycle_falls_in_a_straight_line() -> None:
    found = rates(schedule="one_cycle", warmup=0.5)
    assert max(found) == pytest.approx(2.0, rel=0.03)
    np.testing.assert_allclose(np.diff(found[50:]), -2.0 / 50, rtol=1e-3)


def test_constant_stays() -> None:
    assert set(rates(schedule="constant", warmup=0.0)) == {2.0}


@pytest.mark.parametrize("name", ["adamw", "sgd", "lion", "rmsprop", "muon"])
def test_keras_optimizers_can_be_saved(name: Any) -> None:
    optimizer = create_keras_optimizer(TrainingRecipe(optimizer=name), STEPS, variables())
    again = Schedule.from_config(optimizer.get_config()["learning_rate"]["config"])
    assert float(again(3)) == float(Schedule(TrainingRecipe(), STEPS)(3))
