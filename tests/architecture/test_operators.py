"""RAM and flash against the int8 LiteRT files of random architectures of every space that ships."""

import json
from pathlib import Path
from typing import Any

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count, lower_network
from cnnsearch.space.files import list_spaces

FILES = [
    json.loads(line) for line in Path(__file__).with_name("exported.jsonl").read_text().splitlines()
]
"""Peak and size of converted files; benchmarks/devices/count_exports.py measures more of them."""


@pytest.mark.parametrize("file", FILES, ids=[file["name"] for file in FILES])
def test_ram_is_that_of_the_operators_of_the_file(file: dict[str, Any]) -> None:
    cost = count(Architecture.from_data(file["architecture"]))
    assert cost.peak_activation_bytes == file["peak"]


@pytest.mark.parametrize("file", FILES, ids=[file["name"] for file in FILES])
def test_flash_is_within_two_percent_of_the_file(file: dict[str, Any]) -> None:
    network = lower_network(Architecture.from_data(file["architecture"]))
    assert network.flash_bytes == pytest.approx(file["bytes"], rel=0.02)


def test_every_space_is_covered() -> None:
    assert {file["space"] for file in FILES} >= set(list_spaces())


def network(*stem: object, **style: object) -> Architecture:
    data = {"input": [8, 8, 2], "classes": 3, "style": style, "stem": list(stem), "stages": []}
    return Architecture.from_data(data)


CONV = {"type": "conv", "filters": 4}


def list_operators(*stem: object, **style: object) -> list[str]:
    """The operators between the pixels and the head."""
    return [kind for kind, _, _ in lower_network(network(*stem, **style)).operators][5:-4]


def test_relu_and_batch_normalization_are_merged_into_a_convolution() -> None:
    assert list_operators(CONV) == ["conv"]
    assert list_operators({**CONV, "activation": False, "norm": False}, {"type": "norm"}) == [
        "conv"
    ]


def test_swish_is_two_operators_and_one_more_live_map() -> None:
    assert list_operators(CONV, activation="swish") == ["conv", "logistic", "mul"]
    assert lower_network(network(CONV, activation="swish")).peak_bytes == 8 * 8 * 4 * 3


def test_a_normalization_that_stands_alone_is_a_product_and_a_sum() -> None:
    assert list_operators(CONV, {"type": "max_pool"}, {"type": "norm"})[-2:] == ["factor", "term"]
