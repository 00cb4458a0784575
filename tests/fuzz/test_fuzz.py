"""A few hundred inputs of every corpus; ``python tests/fuzz/run.py --inputs 100000`` tries more."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnnsearch.errors import CnnsearchError
from cnnsearch.space.search_space import SearchSpace
from tests.fuzz.corpora import SHARES, corpus_named
from tests.fuzz.harness import try_one
from tests.fuzz.spaces import check

COUNTS = {"spaces": 60, "runs": 10, "images": 200, "archives": 20, "tables": 20, "arrays": 20}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["conv", "basic", "dense", "$x", "fractal"])
)
WORDS = """input classes stem stages head block type width depth filters choice int float log
variables recipe scaling layers paths"""
KEYS = st.sampled_from(WORDS.split()) | st.text(max_size=3)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
FEW = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("name", list(SHARES))
def test_an_input_works_or_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    corpus = corpus_named(name)
    outcomes = [try_one(corpus, number, tmp_path / "sandbox") for number in range(COUNTS[name])]
    slow = [one for one in outcomes if one.kind == "slow"]  # on a busy machine not ours to judge
    assert not [one for one in outcomes if one.is_finding and one not in slow]
    assert {one.kind for one in outcomes} >= {"works", "refused"}


@FEW
@given(st.text(max_size=80))
def test_any_text_is_a_space_or_refused(text: str) -> None:
    tried(text)


@FEW
@given(st.fixed_dictionaries({}, optional={"stem": DATA, "stages": DATA, "head": DATA}), DATA)
def test_any_data_is_a_space_or_refused(body: dict[str, object], more: object) -> None:
    import yaml

    data = {"input": [32, 32, 3], "classes": 10, **body, "recipe": more}
    tried(yaml.safe_dump(data, allow_unicode=True))


def tried(text: str) -> None:
    try:
        check(SearchSpace.from_text(text, "any.yaml"), 3)
    except CnnsearchError as error:
        assert str(error).isprintable() and "any" in str(error)
