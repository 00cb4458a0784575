"""Spaces without bounds, and bombs, are refused before they are sampled."""

import io
import time

import pytest
from rich.console import Console

from cnnsearch.errors import SpaceError
from cnnsearch.space.search_space import SearchSpace


def test_a_bomb_of_aliases_is_refused_quickly() -> None:
    lines = ["variables:", "  a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(SpaceError, match=r"more than 40 levels deep or 10000 values"):
        SearchSpace.from_text("\n".join(lines), "bomb.yaml")


STAGE = "  - {block: basic, depth: {int: [1, 100]}, width: {int: [1, 1000]}}\n"


HOSTILE_HEAD = "input: [32, 32, 3]\nclasses: 10\nstem: [{type: conv, filters: 16}]\nstages:\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HOSTILE_HEAD + STAGE * 200, "more than 256 hyperparameters in all"),
        (
            HOSTILE_HEAD + f"  - {{block: basic, width: {{choice: {list(range(1, 1100))}}}}}\n",
            "expected at most 1,000, got 1099",
        ),
        (
            HOSTILE_HEAD + "  - {block: basic, depth: 700, width: 8}\n" * 2,
            "more than 1,000 blocks in all",
        ),
    ],
)
def test_a_space_without_bounds_is_refused_at_once(text: str, words: str) -> None:
    since = time.process_time()
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_text(text, "hostile.yaml")
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert time.process_time() - since < 5


def test_a_space_larger_than_any_float_is_counted() -> None:
    from cnnsearch.architecture.cost import Budget
    from cnnsearch.space.check import check_space, check_table
    from cnnsearch.utils.units import format_count

    space = SearchSpace.from_text(HOSTILE_HEAD + STAGE.replace("100]", "3]") * 120, "large.yaml")
    assert space.size == 3000**120
    report = check_space(space, 2, Budget())
    console = Console(width=100, record=True, file=io.StringIO())
    check_table(space, report, console)
    assert "at most 1.80e+417 different candidates" in console.export_text()
    assert format_count(10**9) == "1.00e+09" and format_count(999) == "999"
    assert format_count(99999 * 10**10) == "1.00e+15"
