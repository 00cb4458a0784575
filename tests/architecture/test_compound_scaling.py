"""Compound scaling: the published family to the digit, the formula, limits, budgets, spaces."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.compound_scaling import (
    EFFICIENTNET,
    CompoundScaling,
    scale_by,
    scale_efficientnet,
)
from cnnsearch.architecture.cost import Budget, count
from cnnsearch.architecture.stages import Stage
from cnnsearch.errors import ArchitectureError, BudgetError
from cnnsearch.space.files import list_published_files, list_spaces
from cnnsearch.space.search_space import SearchSpace

# params, params_total, macs: keras.applications' EfficientNets and lukemelas/EfficientNet-PyTorch.
PUBLISHED = {
    "b0": (5288548, 5330564, 385814752),
    "b1": (7794184, 7856232, 686802832),
    "b2": (9109994, 9177562, 993561872),
    "b3": (12233232, 12320528, 1827141392),
    "b4": (19341616, 19466816, 4393771024),
    "b5": (30389784, 30562520, 10266384752),
    "b6": (43040704, 43265136, 19067593536),
    "b7": (66347960, 66658680, 37745884192),
}


# phi: side, params, macs of B0 scaled by 1.2^phi, 1.1^phi, 1.15^phi.
FORMULA = {
    0: (224, 5288548, 385814752),
    1: (258, 9109994, 992629472),
    2: (296, 12255408, 1810522464),
    3: (341, 16350296, 3250916456),
    4: (392, 25916448, 6319727088),
    5: (451, 33726740, 11374487904),
    6: (518, 45464648, 20094026560),
    7: (596, 68741810, 39663901696),
}


PAPER = CompoundScaling()


HEAD = "input: [16, 16, 3]\nclasses: 4\nstages: [{block: basic, depth: 2, width: 16}]\n"


def published(name: str) -> Architecture:
    return SearchSpace.load(name).decode_first().architecture


def network(**changes: object) -> Architecture:
    return Architecture.from_data({"input": [16, 16, 3], "classes": 4, **changes})


def stages(architecture: Architecture) -> list[Stage]:
    return [item for item in architecture.stages if isinstance(item, Stage)]


@pytest.mark.parametrize("model", PUBLISHED)
def test_b0_scaled_by_the_published_factors_is_the_published_model(model: str) -> None:
    scaled = scale_efficientnet(published("efficientnet-b0"), model)
    cost = count(scaled)
    assert (cost.params, cost.params_total, cost.macs) == PUBLISHED[model]
    assert scaled.fingerprint == published(f"efficientnet-{model}").fingerprint


@pytest.mark.parametrize("phi", FORMULA)
def test_b0_scaled_by_the_formula(phi: int) -> None:
    scaled = PAPER.scale(published("efficientnet-b0"), phi)
    cost = count(scaled)
    assert (scaled.input[0], cost.params, cost.macs) == FORMULA[phi]


def test_the_published_family_is_not_the_formula() -> None:
    assert {PUBLISHED[f"b{phi}"][2] for phi in range(1, 8)}.isdisjoint(
        macs for phi, (_, _, macs) in FORMULA.items() if phi
    )


def test_phi_zero_changes_nothing() -> None:
    for name in ("efficientnet-b0", "googlenet", "densenet-40-12", "lenet-5"):
        assert PAPER.scale(published(name), 0) == published(name)


def test_widths_are_multiples_of_eight_within_a_tenth_and_depth_is_rounded_up() -> None:
    net = network(
        stem=[{"type": "conv", "filters": 12}],
        stages=[
            {"block": "basic", "depth": d, "width": w} for d, w in ((1, 20), (5, 36), (10, 72))
        ],
        head={"layers": [{"type": "global_pool"}, {"type": "dense_layer", "units": 100}]},
    )
    scaled = scale_by(net, width=1.1, depth=1.1)
    assert [stage.width for stage in stages(scaled)] == [24, 40, 80]
    assert [stage.depth for stage in stages(scaled)] == [2, 6, 11]
    assert scaled.to_data()["stem"] == [{"type": "conv", "filters": 16}]
    assert scaled.to_data()["head"]["layers"][1]["units"] == 112
    assert scaled.input == net.input


def test_grouped_convolutions_stay_divisible() -> None:
    resnext = scale_by(published("resnext-50-32x4d"), width=1.15)
    assert [stage.width for stage in stages(resnext)] == [160, 288, 576, 1184]
    towers = network(
        stem=[{"type": "conv", "filters": 48}, {"type": "conv", "filters": 96, "groups": 6}]
    )
    for width in (0.7, 1.1, 1.3, 2.2):
        count(scale_by(towers, width=width))


@pytest.mark.parametrize(
    ("block", "width", "factor", "expected"),
    [
        ({"group_width": 16}, 80, 1.1, 96),  # 88 lies between 80 and 96
        ({"group_width": 16}, 160, 1.15, 192),  # 184
        ({"group_width": 48}, 96, 0.7, 96),  # 67.2: 48 would lose more than a tenth
        ({"group_width": 16, "ratio": 0.5}, 64, 1.2, 96),  # 76.8: 64 would lose more than a tenth
        ({"group_width": 16, "ratio": 4.0}, 64, 1.1, 72),
        ({"group_width": 64}, 24, 1.4, 32),  # one group as wide as the layer
        ({"group_width": 64}, 56, 1.4, 128),  # 78.4: 64 would lose more than a tenth
        ({"group_width": 16}, 80, 1.0, 80),
    ],
)
def test_groups_of_a_regnet_keep_their_width(
    block: dict[str, Any], width: int, factor: float, expected: int
) -> None:
    stage = {"block": {"type": "regnet", **block}, "depth": 2, "width": width}
    scaled = scale_by(network(stages=[stage]), width=factor)
    assert [item.width for item in stages(scaled)] == [expected]
    count(scaled)


@settings(max_examples=200, deadline=None)
@given(
    group_width=st.integers(1, 128),
    groups=st.integers(1, 12),
    ratio=st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0]),
    factor=st.floats(0.2, 4.0),
    divisor=st.sampled_from([1, 4, 8]),
)
def test_a_regnet_of_any_width_can_be_scaled(
    group_width: int, groups: int, ratio: float, factor: float, divisor: int
) -> None:
    width = math.ceil(groups * group_width / ratio / divisor) * divisor
    stage = {
        "block": {"type": "regnet", "group_width": group_width, "ratio": ratio},
        "width": width,
    }
    net = network(stages=[stage])
    try:
        count(net)
    except ArchitectureError:
        return
    scaled = scale_by(net, width=factor, divisor=divisor)
    count(scaled)
    assert all((item.width or 0) >= 0.9 * width * factor for item in stages(scaled))


def test_a_resolution_that_does_not_wire_moves_to_the_nearest_that_does() -> None:
    net = network(
        stages=[
            {"block": "basic", "width": 8, "stride": 2, "downsample": "space_to_depth"},
            {"block": "basic", "width": 16, "stride": 2, "downsample": "space_to_depth"},
        ]
    )
    assert scale_by(net, resolution=1.15).input[:2] == (20, 20)  # 18 and 19 do not divide by 4
    assert scale_by(net, resolution=1.31).input[:2] == (20, 20)  # 21


def test_dropout_is_set_where_asked() -> None:
    net = network(head={"dropout": 0.1})
    assert scale_by(net).head.dropout == 0.1
    assert scale_by(net, dropout=0.4).head.dropout == 0.4


@pytest.mark.parametrize("name", ["resnet-152", "wrn-28-10", "efficientnet-b7", "convnext-tiny"])
def test_macs_of_wide_and_deep_networks_grow_as_predicted(name: str) -> None:
    net = published(name)
    macs = count(net).macs
    assert count(PAPER.scale(net, 1)).macs / macs == pytest.approx(PAPER.growth, rel=0.16)
    assert count(scale_by(net, width=2)).macs / macs == pytest.approx(4, rel=0.04)
    assert count(scale_by(net, resolution=2)).macs / macs == pytest.approx(4, rel=0.05)
    assert count(scale_by(net, depth=2)).macs / macs == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("name", list_spaces())
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), phi=st.floats(0.2, 3))
def test_every_candidate_of_a_shipped_space_can_be_scaled(name: str, seed: int, phi: float) -> None:
    space = SearchSpace.load(name)
    net = space.decode(space.sample(random.Random(seed))).architecture
    try:
        before = count(net)
    except ArchitectureError:
        return
    scaled = PAPER.scale(net, phi)
    after = count(scaled)
    assert after.params >= before.params and after.macs >= before.macs
    assert scaled.input >= net.input
    assert Architecture.from_json(scaled.to_json()) == scaled


@pytest.mark.parametrize("name", sorted(list_published_files())[::4])
def test_published_networks_grow_with_phi(name: str) -> None:
    net = published(name)
    macs = [count(PAPER.scale(net, phi)).macs for phi in (-1, 0, 1, 2)]
    assert macs[0] < macs[2] < macs[3] and macs[1] < macs[2]


def test_phi_for_is_the_largest_that_meets_the_budget() -> None:
    net = published("efficientnet-b0")
    phi = PAPER.find_phi(net, 2_000_000_000)
    assert count(PAPER.scale(net, phi)).macs <= 2_000_000_000
    assert count(PAPER.scale(net, phi + 0.001)).macs > 2_000_000_000
    assert PAPER.find_phi(net, count(net).macs) < 0.1


def test_phi_is_the_largest_within_ram_and_flash() -> None:
    net = published("resnet-8-mlperf-tiny")
    for budget, tight in (
        (Budget(max_ram=100_000, max_flash=10**7), "peak_activation_bytes"),
        (Budget(max_ram=10**7, max_flash=200_000), "flash_bytes"),
    ):
        phi = PAPER.find_phi(net, budget)
        found, next_ = (count(PAPER.scale(net, each)) for each in (phi, phi + 0.001))
        bound = budget.max_ram if tight == "peak_activation_bytes" else budget.max_flash
        assert getattr(found, tight) <= bound < getattr(next_, tight) and phi > 0


def test_a_budget_below_the_network_names_both() -> None:
    with pytest.raises(BudgetError, match=r"phi = 0 costs 386M MACs, over the budget of 100M"):
        PAPER.find_phi(published("efficientnet-b0"), 100_000_000)


@pytest.mark.parametrize(
    ("phi", "message"),
    [
        (25, "phi: expected a number from -20 to 20, got 25"),
        (-99, "phi: expected a number from -20 to 20, got -99"),
        (float("nan"), "phi: expected a number from -20 to 20, got nan"),
        (20.0, r"phi = 20: scaled beyond its limits: input.0: .*4096, got 6134"),
    ],
)
def test_a_scale_beyond_the_limits_is_refused(phi: float, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        CompoundScaling(gamma=1.2).scale(network(input=[160, 160, 3]), phi)


def test_an_unknown_efficientnet_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="there is no EfficientNet 'b8'"):
        scale_efficientnet(network(), "b8")


SCALING = json.loads(Path(__file__).with_name("efficientnet_scaling.json").read_text())


@pytest.mark.parametrize("entry", SCALING, ids=[entry["model"] for entry in SCALING])
def test_the_published_factors_and_counts_are_the_authors(entry: dict[str, Any]) -> None:
    name, expected = entry["model"].lower(), entry["published"]
    factors = EFFICIENTNET[name]
    assert factors == tuple(expected[key] for key in ("width", "depth", "resolution", "dropout"))
    cost = count(scale_efficientnet(published("efficientnet-b0"), name))
    assert (cost.params, cost.macs) == (expected["params"], expected["macs"])
