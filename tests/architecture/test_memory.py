"""Peak memory of feature maps, against figures that others published or that are counted by hand.

MobileNetV2 with depthwise convolutions in place: 1372 KiB in MCUNetV2 (arXiv:2110.15352, fig. 1).
"""

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.compound_scaling import scale_by
from cnnsearch.architecture.counting import CountingOps
from cnnsearch.architecture.memory import count_peaks
from cnnsearch.blocks.ops import Shape
from cnnsearch.space.published import load_published

PLAIN, ADD, DEPTHWISE = "plain", "inplace_add", "inplace_depthwise"
PUBLISHED = [
    ("mobilenet-v2", {PLAIN: 1_505_280, DEPTHWISE: 1372 * 1024}),
    ("mobilenet-v2-1.4", {PLAIN: 2_257_920, DEPTHWISE: 2_107_392}),
    ("resnet-18", {PLAIN: 1_003_520}),
    ("resnet-50", {PLAIN: 2_408_448, ADD: 1_806_336}),
    ("efficientnet-b0", {PLAIN: 1_505_280, DEPTHWISE: 1_404_928}),
    ("squeezenet-1.1", {PLAIN: 982_144}),
    ("densenet-121", {PLAIN: 1_806_336}),
    ("vgg-16", {PLAIN: 6_422_528}),
    ("alexnet-2014", {PLAIN: 344_128}),
]


@pytest.mark.parametrize(("name", "expected"), PUBLISHED, ids=[name for name, _ in PUBLISHED])
def test_published_networks_have_the_published_peak(name: str, expected: dict[str, int]) -> None:
    found = count_peaks(load_published(name))
    assert {convention: found[convention] for convention in expected} == expected


@pytest.mark.parametrize(("side", "expected"), [(144, 311_040), (128, 245_760)])
def test_narrow_mobilenets_for_microcontrollers(side: int, expected: int) -> None:
    narrow = scale_by(load_published("mobilenet-v2"), width=0.35).adapt(image=(side, side))
    assert count_peaks(narrow)[PLAIN] == expected


def make(*stem: object) -> Architecture:
    data = {"input": [8, 8, 2], "classes": 3, "stem": list(stem), "stages": []}
    return Architecture.from_data(data)


def test_a_map_that_a_branch_still_needs_stays_in_memory() -> None:
    paths = [[], [{"type": "conv", "filters": 10}, {"type": "conv", "filters": 2}]]
    network = make({"type": "branches", "join": "add", "paths": paths})
    # While the second convolution runs: the image, its input and its output.
    assert count_peaks(network)[PLAIN] == 8 * 8 * (2 + 10 + 2)


def test_an_addition_in_place_needs_no_third_map() -> None:
    paths = [[], [{"type": "conv", "filters": 2, "kernel": 1}]]
    network = make({"type": "branches", "join": "add", "paths": paths})
    found = count_peaks(network)
    assert (found[PLAIN], found[ADD]) == (8 * 8 * 6, 8 * 8 * 4)


def test_normalization_is_free_behind_a_convolution_alone() -> None:
    conv = {"type": "conv", "filters": 4, "norm": False, "activation": False}
    behind_conv = make(conv, {"type": "norm"})
    behind_pool = make(conv, {"type": "max_pool", "stride": 1}, {"type": "norm"})
    assert count_peaks(behind_conv)[PLAIN] == 8 * 8 * (2 + 4)
    assert count_peaks(behind_pool)[PLAIN] == 8 * 8 * (4 + 4)


def test_auxiliary_heads_are_not_deployed() -> None:
    stage = {"block": {"type": "plain"}, "depth": 1, "width": 2}
    extra = {"after": 0, "head": {"layers": [{"type": "conv", "filters": 100}]}}
    network = {"input": [8, 8, 2], "classes": 3, "stem": [], "stages": [stage]}
    with_head = Architecture.from_data({**network, "auxiliary": [extra]})
    assert count_peaks(with_head) == count_peaks(Architecture.from_data(network))
    assert with_head.wire(CountingOps(with_head.style), Shape(8, 8, 2))[1].c == 3
