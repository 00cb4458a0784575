"""The JSON Schema of space files takes what the loader takes, and refuses what it refuses."""

import pytest

from cnnsearch.errors import SpaceError
from cnnsearch.space.files import list_spaces
from cnnsearch.space.json_schema import space_schema
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.safe_yaml import read_yaml
from tests.space.json_schema import valid

SMALL = """
variables:
  block: {choice: [{type: basic}, {type: plain, kernel: {choice: [3, 5]}}]}
  width: {choice: [4, 8]}
input: [8, 8, 1]
classes: 3
stages:
  - {block: BLOCK, depth: {int: [1, 2]}, width: $width * 2, stride: 2}
  - {block: $block, width: 8}
recipe: {learning_rate: {log: [1e-3, 1e-1]}, epochs: 1}
"""
SCHEMA = space_schema()


def schema_takes(text: str) -> bool:
    return valid(read_yaml(text, "mine.yaml"), SCHEMA, SCHEMA)


@pytest.mark.parametrize("name", list_spaces())
def test_the_schema_takes_what_ships(name: str) -> None:
    assert schema_takes(SearchSpace.load(name).text)


@pytest.mark.parametrize(
    "block",
    ["basic", "$block", "{type: basic}", "{choice: [plain, basic]}", "{choice: [plain, $block]}"],
)
def test_the_schema_takes_every_way_to_name_a_block(block: str) -> None:
    text = SMALL.replace("BLOCK", block)
    SearchSpace.from_text(text, "mine.yaml")
    assert schema_takes(text)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("depth:", "dpth:"),
        ("BLOCK", "bsic"),
        ("BLOCK", "parallel"),
        ("BLOCK", "{choice: []}"),
        ("classes: 3", "classes: three"),
        ("$width * 2", "-8"),
        ("[1, 2]", "[1, 2, 3]"),
        ("epochs: 1", "epocs: 1"),
    ],
)
def test_the_schema_refuses_a_mistake(right: str, wrong: str) -> None:
    text = SMALL.replace(right, wrong).replace("BLOCK", "basic")
    with pytest.raises(SpaceError):
        SearchSpace.from_text(text, "mine.yaml")
    assert not schema_takes(text)
