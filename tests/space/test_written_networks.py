"""Networks that no file of ours has, written from the reference pages alone, against timm's counts.

A reader of ``cnnsearch blocks`` and the documentation wrote the files in ``written``; the counts
beside them are those of timm's PyTorch models.
"""

import json
from pathlib import Path

import pytest

from cnnsearch.architecture.cost import count
from cnnsearch.space.search_space import SearchSpace

HERE = Path(__file__).parent / "written"
COUNTS = json.loads((HERE / "counts.json").read_text("utf-8"))["networks"]


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_a_written_network_has_timms_counts(name: str) -> None:
    cost = count(SearchSpace.load(HERE / f"{name}.yaml").decode_first().architecture)
    found = {"params": cost.params, "params_total": cost.params_total, "macs": cost.macs}
    assert found == COUNTS[name]


def test_every_file_has_its_counts() -> None:
    assert sorted(path.stem for path in HERE.glob("*.yaml")) == sorted(COUNTS)
