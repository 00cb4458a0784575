"""YAML as everyone writes it, read safely however it is nested."""

import pytest
import yaml

from cnnsearch.errors import SpaceError
from cnnsearch.space.files import list_published_files, list_spaces
from cnnsearch.utils.safe_yaml import MAX_NESTING, _Loader, read_yaml


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "[{? "])
@pytest.mark.parametrize("depth", [50, 5_000, 90_000])
def test_deep_nesting_is_an_error_not_a_crash(opening: str, depth: int) -> None:
    with pytest.raises(SpaceError, match=r"^f\.yaml"):
        read_yaml(opening * depth + "]", "f.yaml")


def test_numbers_are_read_as_written() -> None:
    text = "{a: 1e-4, b: 2e6, c: 1.5e+3, d: 3, e: .5, f: v1e3}"
    read = read_yaml(text, "f")
    assert read == {"a": 1e-4, "b": 2e6, "c": 1500.0, "d": 3, "e": 0.5, "f": "v1e3"}


def test_a_repeated_key_is_reported() -> None:
    with pytest.raises(SpaceError, match=r"f\.yaml, line 2, column 1: duplicate key 'a'"):
        read_yaml("a: 1\na: 2", "f.yaml")


def test_objects_are_refused() -> None:
    with pytest.raises(SpaceError, match="constructor"):
        read_yaml("a: !!python/object/apply:os.getcwd []", "f.yaml")


def test_libyaml_reads_what_pyyaml_reads() -> None:
    for file in [*list_spaces().values(), *list_published_files().values()]:
        text = file.read_text("utf-8")
        assert read_yaml(text, file.name) == yaml.load(text, _Slow)  # noqa: S506


def test_nesting_that_no_file_needs_is_refused_and_less_is_read() -> None:
    deepest = "[" * MAX_NESTING + "]" * MAX_NESTING
    assert len(read_yaml(deepest, "f.yaml")) == 1
    with pytest.raises(SpaceError, match=r"^f\.yaml, line 1: nested too deeply$"):
        read_yaml(f"[{deepest}]", "f.yaml")


class _Slow(yaml.SafeLoader):
    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
