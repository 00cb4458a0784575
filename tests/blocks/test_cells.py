"""Cells of two inputs: no cell of a network may be left unread, since Keras would leave it out."""

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.errors import ArchitectureError
from tests.measuring import measure

BLIND = [{"inputs": [0, 0], "ops": ["conv_3x3", "identity"]}]
SEEING = [{"inputs": [1, 0], "ops": ["conv_3x3", "identity"]}]


def network(*cells: list[dict[str, object]]) -> Architecture:
    stages = [{"block": {"type": "cell", "nodes": nodes}, "width": 8} for nodes in cells]
    stem = [{"type": "conv", "filters": 8}]
    return Architecture.from_data(
        {"input": [8, 8, 3], "classes": 3, "stem": stem, "stages": stages}
    )


def test_a_cell_that_does_not_read_the_cell_before_it_is_an_error() -> None:
    with pytest.raises(ArchitectureError, match=r"^stages\.1\.0: no node .* reads state 1"):
        count(network(SEEING, BLIND))


@pytest.mark.parametrize("cells", [(BLIND,), (BLIND, SEEING), (SEEING, SEEING, SEEING)])
def test_every_other_chain_is_built_as_it_is_counted(cells: tuple[list[dict[str, object]]]) -> None:
    from cnnsearch.training.model import build

    found = network(*cells)
    assert measure(build(found, mean=[0.5] * 3, std=[0.2] * 3)) == count(found)
