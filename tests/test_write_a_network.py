"""docs/write-a-network.md: its files read, and are what the page says they are."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cnnsearch.architecture.cost import Cost, count
from cnnsearch.space.search_space import SearchSpace

PAGE = Path(__file__).parents[1] / "docs" / "write-a-network.md"
FILES = {
    str(yaml.safe_load(text)["name"]): text
    for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
}


def measure(text: str) -> Cost:
    return count(SearchSpace.from_text(text).decode_first().architecture)


def replace_stages(name: str, *stages: object) -> str:
    data: dict[str, Any] = yaml.safe_load(FILES[name])
    return yaml.safe_dump({**data, "stages": list(stages)})


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_page_is_a_network(name: str) -> None:
    space = SearchSpace.from_text(FILES[name], name)
    assert not space.parameters
    assert count(space.decode_first().architecture).params > 0


def test_the_first_file_has_the_counts_of_timm() -> None:
    """timm 1.0's fbnetc_100: parameters, and convolution and dense multiply-accumulates."""
    cost = measure(FILES["fbnet-c"])
    assert (cost.params, cost.macs) == (5_572_200, 384_960_160)


def test_anchors_and_variables_give_the_same_network() -> None:
    first, second = (
        SearchSpace.from_text(FILES[name]).decode_first().architecture
        for name in ("with-anchors", "with-variables")
    )
    assert first.fingerprint == second.fingerprint


def test_what_is_written_by_hand_is_the_block_that_the_page_names() -> None:
    block = replace_stages("residual-by-hand", {"block": "basic", "depth": 3, "width": 16})
    assert measure(block) == measure(FILES["residual-by-hand"])
    conv, gate = {"type": "conv", "filters": 64}, {"type": "squeeze_excite", "ratio": 0.25}
    assert measure(replace_stages("gate-by-hand", conv, gate)) == measure(FILES["gate-by-hand"])
