import random

import pytest

from cnnsearch.oracles.points import is_active
from cnnsearch.space.choices import Parameter

from .helpers import choice, mixed_space, small_space

keras_tuner = pytest.importorskip("keras_tuner")


def test_names_kinds_and_ranges_are_kept() -> None:
    from cnnsearch.oracles.convert import to_hyperparameters

    space = {hp.name: hp for hp in to_hyperparameters(mixed_space().parameters).space}
    assert list(space) == [p.name for p in mixed_space().parameters]
    assert type(space["squeeze"]).__name__ == "Boolean"
    assert type(space["depth"]).__name__ == "Int"
    assert (space["width"].min_value, space["width"].max_value) == (8, 256)
    assert space["width"].sampling == space["rate"].sampling == "log"
    assert space["dropout"].sampling == "linear"
    assert space["kernel"].ordered and not space["family"].ordered


def test_a_single_option_is_fixed() -> None:
    from cnnsearch.oracles.convert import to_hyperparameters

    (only,) = to_hyperparameters([choice("only", True)]).space
    assert type(only).__name__ == "Fixed" and only.value is True


def test_conditions_mean_to_keras_tuner_what_they_mean_to_us() -> None:
    """Mixed ones too: on parents of different depths, which nested scopes refuse."""
    from cnnsearch.oracles.convert import to_hyperparameters

    space, rng = mixed_space(), random.Random(0)
    declared = to_hyperparameters(space.parameters)
    active_once = set()
    for _ in range(400):
        declared.values = space.sample(rng)
        active = {hp.name for hp in declared.space if declared.is_active(hp)}
        assert active == {p.name for p in space.parameters if is_active(p, declared.values)}
        active_once |= active
    assert active_once == {p.name for p in space.parameters}


def test_keras_tuners_own_random_values_are_ours() -> None:
    from cnnsearch.oracles.convert import to_hyperparameters

    space = mixed_space()
    oracle = keras_tuner.oracles.RandomSearchOracle(
        objective=keras_tuner.Objective("score", "max"),
        hyperparameters=to_hyperparameters(space.parameters),
        seed=5,
    )
    for _ in range(50):
        values = oracle._random_values()
        assert set(values) == {p.name for p in space.parameters if is_active(p, values)}
        assert all(p.holds(values[p.name]) for p in space.parameters if p.name in values)


def test_defaults_are_the_first_options_or_those_given() -> None:
    from cnnsearch.oracles.convert import to_hyperparameters

    parameters = small_space().parameters
    assert to_hyperparameters(parameters).values == {
        "family": "plain",
        "kernel": 3,
        "pool": "max",
    }
    given = {"family": "residual", "width": 3}
    assert to_hyperparameters(parameters, given).values == given


def test_keras_tuners_keys_are_left_out() -> None:
    from cnnsearch.oracles.convert import active_values

    values = {"tuner/epochs": 3, "b": 2, "a": 1}
    parameters = [Parameter(name, "int", low=0, high=9) for name in ("a", "b", "c")]
    assert list(active_values(parameters, values).items()) == [("a", 1), ("b", 2)]
