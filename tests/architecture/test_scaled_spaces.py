"""Compound scaling in space files: chosen, limited, and what is said of a wrong one."""

from pathlib import Path

import pytest

from cnnsearch.architecture.compound_scaling import (
    CompoundScaling,
)
from cnnsearch.architecture.cost import count
from cnnsearch.errors import SpaceError
from cnnsearch.space.json_schema import space_schema
from cnnsearch.space.search_space import SearchSpace
from tests.architecture.test_compound_scaling import HEAD


def test_a_space_may_choose_its_scaling() -> None:
    text = HEAD + "scaling: {phi: {choice: [0, 1, 2]}, alpha: {float: [1.0, 1.5]}, gamma: 1.25}\n"
    space = SearchSpace.from_text(text, "s.yaml")
    assert [p.name for p in space.parameters] == ["scaling.phi", "scaling.alpha"]
    net = space.decode({"scaling.phi": 2, "scaling.alpha": 1.5}).architecture
    expected = CompoundScaling(alpha=1.5, gamma=1.25).scale(space.decode_first().architecture, 2)
    assert net == expected
    assert net.input == space.input == (25, 25, 3)
    assert (space.size, [p.name for p in space.continuous]) == (3, ["scaling.alpha"])


def test_a_space_may_choose_between_whole_proportions() -> None:
    text = HEAD + "scaling: {choice: [{alpha: 2, beta: 1, gamma: 1}, {alpha: 1, gamma: 1.5}]}\n"
    space = SearchSpace.from_text(text, "s.yaml")
    assert space.parameters[0].options == ("alpha=2,beta=1,gamma=1", "alpha=1,gamma=1.5")
    assert space.input == (24, 24, 3)
    assert [
        space.decode({"scaling": option}).architecture.input[0]
        for option in space.parameters[0].options
    ] == [16, 24]


def test_the_largest_input_takes_choices_together() -> None:
    text = HEAD + "scaling: {phi: {choice: [0, 2]}, gamma: {choice: [1.0, 1.5]}}\n"
    assert SearchSpace.from_text(text, "s.yaml").input == (36, 36, 3)


def test_classes_and_channels_of_the_data_are_kept_when_scaled() -> None:
    space = SearchSpace.from_text(HEAD + "scaling: {phi: 1}\n", "s.yaml")
    net = space.adapt(classes=7, channels=1).decode_first().architecture
    assert (net.classes, net.input) == (7, (18, 18, 1))


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ("5", "s.yaml: scaling: expected a mapping of phi, alpha"),
        ("{phy: 2}", "s.yaml: scaling.phy: unknown key, did you mean 'phi'"),
        ("{alpha: 0.5}", "s.yaml: scaling.alpha: input should be greater than or equal to 1"),
        ("{phi: {choice: [0, 99]}}", "s.yaml: scaling.phi: input should be less than or equal"),
        (
            "{phi: {choice: [0, 18]}, gamma: {float: [1, 2]}}",
            "s.yaml: scaling: phi = 18: scaled beyond its limits: input.0: input should be less",
        ),
    ],
)
def test_a_wrong_scaling_is_reported_in_one_line(scaling: str, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_text(f"{HEAD}scaling: {scaling}\n", "s.yaml")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_schema_knows_scaling() -> None:
    schema = space_schema()
    assert {"phi", "alpha", "beta", "gamma"} <= schema["$defs"]["Scaling"]["properties"].keys()
    assert "scaling" in schema["properties"]


def test_a_file_with_scaling_loads(tmp_path: Path) -> None:
    file = tmp_path / "bigger.yaml"
    file.write_text(HEAD + "scaling: {phi: 1}\n")
    assert count(SearchSpace.load(file).decode_first().architecture).macs > 1_000_000
