"""What ``import cnnsearch`` offers."""

import subprocess
import sys
from importlib import metadata

import pytest

import cnnsearch


def test_the_version_is_the_installed_one() -> None:
    assert cnnsearch.__version__ == metadata.version("cnnsearch")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        cnnsearch.serach  # noqa: B018


@pytest.mark.parametrize("name", sorted(set(cnnsearch.__all__) - {"__version__", "search"}))
def test_every_name_offered_is_there(name: str) -> None:
    assert getattr(cnnsearch, name).__name__ == name
    assert name in dir(cnnsearch)


@pytest.mark.parametrize(
    "first",
    [
        "import cnnsearch",
        "import cnnsearch.engine.search",
        "from cnnsearch.engine.search import search",
    ],
)
def test_search_is_the_function_whatever_was_imported_before(first: str) -> None:
    program = f"{first}\nimport cnnsearch\nassert type(cnnsearch.search).__name__ == 'function'"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
