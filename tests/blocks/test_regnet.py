"""Widths of RegNet blocks: every group has the stated number of channels."""

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.blocks.regnet import RegNet


@pytest.mark.parametrize("ratio", [0.25, 1.0, 1.5, 2.0, 3.3])
@pytest.mark.parametrize("group", [3, 8, 24])
def test_a_fitted_width_has_whole_groups(ratio: float, group: int) -> None:
    block = RegNet(group_width=group, ratio=ratio)
    for width in range(1, 200, 7):
        fitted = block.fit_width(width)
        stage = {"block": block.model_dump(), "depth": 1, "width": fitted}
        stem = [{"type": "conv", "filters": 8}]
        data = {"input": [8, 8, 3], "classes": 2, "stem": stem, "stages": [stage]}
        assert count(Architecture.from_data(data)).params > 0  # it wires
        assert abs(fitted - width) <= 2 * group * max(1, 1 / ratio)


def test_widths_are_fitted_as_by_the_authors() -> None:
    """RegNetX-400MF's (arXiv:2003.13678, table 2): 32, 64, 160, 400 in groups of 16."""
    widths = [RegNet(group_width=16).fit_width(width) for width in (29, 67, 155, 396)]
    assert widths == [32, 64, 160, 400]
