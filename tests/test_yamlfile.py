"""YAML as everyone writes it, read safely however it is nested."""

import pytest

from cnnsearch.errors import SpaceError
from cnnsearch.space import published_files, shipped
from cnnsearch.yamlfile import FAST_NESTING, read_yaml


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "[{? "])
@pytest.mark.parametrize("depth", [50, 5_000, 90_000])
def test_deep_nesting_is_an_error_not_a_crash(opening: str, depth: int) -> None:
    with pytest.raises(SpaceError, match=r"^f\.yaml"):
        read_yaml(opening * depth + "]", "f.yaml")


def test_numbers_are_read_as_written() -> None:
    text = "{a: 1e-4, b: 2e6, c: 1.5e+3, d: 3, e: .5, f: v1e3}"
    read = read_yaml(text, "f")
    assert read == {"a": 1e-4, "b": 2e6, "c": 1500.0, "d": 3, "e": 0.5, "f": "v1e3"}
    assert read_yaml(f"x: {text}\ny: '{'[' * FAST_NESTING}'", "f")["x"] == read


@pytest.mark.parametrize("long", [False, True])
def test_a_key_that_is_there_twice_is_told(long: bool) -> None:
    filler = f"\nx: '{'[' * FAST_NESTING}'" if long else ""
    with pytest.raises(SpaceError, match=r"f\.yaml, line 2, column 1: the key 'a' is there twice"):
        read_yaml(f"a: 1\na: 2{filler}", "f.yaml")


@pytest.mark.parametrize("long", [False, True])
def test_objects_are_refused(long: bool) -> None:
    filler = f"\nx: '{'[' * FAST_NESTING}'" if long else ""
    with pytest.raises(SpaceError, match="constructor"):
        read_yaml(f"a: !!python/object/apply:os.getcwd []{filler}", "f.yaml")


def test_the_fast_reader_reads_what_the_slow_one_reads() -> None:
    for file in [*shipped().values(), *published_files().values()]:
        text = file.read_text("utf-8")
        slow = read_yaml(f"{text}\nfiller: '{'[' * FAST_NESTING}'", file.name)
        slow.pop("filler")
        assert read_yaml(text, file.name) == slow
