"""The size of images as a value of a search space: the key ``image``."""

import random

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.engine.initial_weights import resize_space
from cnnsearch.errors import SpaceError
from cnnsearch.space.json_schema import space_schema
from cnnsearch.space.search_space import SearchSpace

BODY = {"classes": 5, "stages": [{"block": "basic", "width": 16, "stride": 2}]}
TEXT = "classes: 5\nstages: [{block: basic, width: 16, stride: 2}]\n"


def test_each_size_is_counted_at_its_own_cost() -> None:
    space = SearchSpace.from_text(TEXT + "image: {choice: [32, 48, [40, 24]]}")
    assert space.size == 3
    for value, sides in {"32": (32, 32), "48": (48, 48), "40x24": (40, 24)}.items():
        found = space.decode({"image": value}).architecture
        assert found.input == (*sides, 3)
        known = Architecture.from_data({**BODY, "input": [*sides, 3]})
        assert count(found) == count(known)
        assert found.fingerprint == known.fingerprint
    assert space.input == (48, 48, 3), "images are decoded at the largest size"


def test_a_size_may_be_a_range_or_fixed() -> None:
    space = SearchSpace.from_text(TEXT + "image: {int: [24, 40]}")
    sizes = {space.decode(space.sample(random.Random(i))).architecture.input for i in range(20)}
    assert len(sizes) > 5
    assert all(h == w and 24 <= h <= 40 for h, w, _ in sizes)
    fixed = SearchSpace.from_text(TEXT + "image: 20")
    assert fixed.input == (20, 20, 3)
    assert resize_space(fixed, (24, 24)).input == (24, 24, 3)


def test_the_data_decides_the_channels() -> None:
    space = SearchSpace.from_text(TEXT + "image: {choice: [16, 24]}").adapt(channels=1)
    assert space.decode({"image": 24}).architecture.input == (24, 24, 1)


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("image: {choice: [a, b]}", "image: expected a side in pixels, or [height, width]"),
        ("image: {float: [16, 24]}", "image: expected a side in pixels"),
        ("image: [8, 8, 3]", "image: expected a side in pixels"),
        ("image: 0", "input should be greater than or equal to 1"),
        ("image: 16\ninput: [16, 16, 3]", "image: stands in place of input"),
    ],
)
def test_mistakes_are_explained(key: str, rule: str) -> None:
    with pytest.raises(SpaceError) as error:
        SearchSpace.from_text(TEXT + key, "s.yaml")
    assert rule in str(error.value)


def test_an_option_cannot_replace_the_searched_size() -> None:
    space = SearchSpace.from_text(TEXT + "image: {choice: [16, 24]}", "s.yaml")
    with pytest.raises(SpaceError, match=r"--image: s\.yaml searches the size"):
        resize_space(space, (32, 32))


def test_the_schema_needs_no_input() -> None:
    schema = space_schema()
    assert "image" in schema["properties"]
    assert schema["required"] == ["classes"]
