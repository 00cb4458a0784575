"""Padding of convolutions: on which sides, and which names it has."""

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import ArchitectureError
from tests.architecture.test_architecture import small


def test_torch_padding_is_the_same_on_all_sides_where_a_convolution_strides() -> None:
    def make(torch: bool, padding: object) -> Architecture:
        stem = [{"type": "conv", "filters": 4, "stride": 2, "padding": padding}]
        return Architecture.from_data(small(stem=stem, style={"torch_padding": torch}))

    assert make(True, "same").fingerprint == make(False, 1).fingerprint
    assert make(True, "same").fingerprint != make(False, "same").fingerprint


@pytest.mark.parametrize("kind", ["conv", "depthwise_conv"])
def test_ceil_is_a_padding_of_pooling_alone(kind: str) -> None:
    layer = {"type": kind, "padding": "ceil", **({"filters": 4} if kind == "conv" else {})}
    with pytest.raises(ArchitectureError, match="'same', 'valid' or 'zeros', got 'ceil'"):
        Architecture.from_data(small(stem=[{"type": "conv", "filters": 4}, layer]))
    pool = {"type": "max_pool", "size": 3, "stride": 2, "padding": "ceil"}
    Architecture.from_data(small(stem=[{"type": "conv", "filters": 4}, pool]))
