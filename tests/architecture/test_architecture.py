"""Architectures as data: round trip, identity, and what is said of a wrong one."""

import json
import re

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.architecture.counting import CountingOps
from cnnsearch.architecture.stages import Stage
from cnnsearch.architecture.wiring import trace
from cnnsearch.blocks.ops import Shape, Style
from cnnsearch.errors import ArchitectureError

STEM = [
    {"type": "conv", "filters": 64, "kernel": 7, "stride": 2, "padding": 3},
    {"type": "max_pool", "size": 3, "stride": 2},
]


def resnet50(stride_on: str = "middle") -> Architecture:
    stages = [
        {
            "block": {"type": "bottleneck", "stride_on": stride_on},
            "depth": d,
            "width": w,
            "stride": s,
        }
        for d, w, s in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))
    ]
    return Architecture.from_data(
        {"input": [224, 224, 3], "classes": 1000, "stem": STEM, "stages": stages}
    )


def densenet121() -> Architecture:
    stages = [
        {"block": {"type": "dense", "growth": 32}, "depth": depth, "stride": stride}
        for depth, stride in ((6, 1), (12, 2), (24, 2), (16, 2))
    ]
    return Architecture.from_data(
        {"input": [224, 224, 3], "classes": 1000, "stem": STEM, "stages": stages}
    )


def small(**changes: object) -> dict[str, object]:
    return {"input": [8, 8, 1], "classes": 3, **changes}


def test_resnet50_counts_as_published() -> None:
    first, middle = count(resnet50("first")), count(resnet50("middle"))
    assert (first.params, first.params_total, first.macs) == (25557032, 25610152, 3857973248)
    assert (middle.params, middle.macs) == (25557032, 4089184256)
    assert middle.flops == 2 * middle.macs


def test_densenet121_counts_as_published() -> None:
    cost = count(densenet121())
    assert (cost.params, cost.params_total, cost.macs) == (7978856, 8062504, 2834161664)


def test_the_layers_add_up_to_the_whole() -> None:
    layers, cost = trace(densenet121()), count(densenet121())
    assert sum(layer.params for layer in layers) == cost.params
    assert sum(layer.params_total for layer in layers) == cost.params_total
    assert sum(layer.macs for layer in layers) == cost.macs
    assert {layer.place for layer in layers} >= {"stem.0", "stages.0.5", "stages.3.end", "head"}


def test_json_gives_back_the_same_architecture_and_fingerprint() -> None:
    before = densenet121()
    after = Architecture.from_json(before.to_json())
    assert after == before
    assert after.fingerprint == before.fingerprint
    assert len(before.fingerprint) == 16


def test_the_family_names_every_family_once() -> None:
    stages = [
        {"block": "basic", "width": 8},
        {"block": "dense", "width": 8},
        {"block": "bottleneck", "width": 8},
        {"block": "plain", "width": 8, "depth": 0},
    ]
    assert Architecture.from_data(small(stages=stages)).family == "residual+dense"


def test_a_run_of_preactivated_stages_is_normalized_where_it_ends() -> None:
    dense = {"block": {"type": "dense", "growth": 4}, "depth": 1}
    ends = [
        layer.place
        for layer in trace(
            Architecture.from_data(
                small(stages=[dense, dense, {"block": "basic", "width": 8}, dense])
            )
        )
        if layer.place.endswith(".end")
    ]
    assert ends == ["stages.1.end", "stages.3.end"]


def test_a_stage_of_depth_zero_is_left_out() -> None:
    with_empty = small(stages=[{"block": "basic", "width": 8, "depth": 0, "stride": 2}])
    assert count(Architecture.from_data(with_empty)) == count(Architecture.from_data(small()))


@pytest.mark.parametrize(
    ("downsample", "size"), [("max_pool", 4), ("avg_pool", 4), ("space_to_depth", 4)]
)
def test_a_stage_may_shrink_by_other_means_than_its_stride(downsample: str, size: int) -> None:
    stage = {"block": "plain", "width": 5, "stride": 2, "downsample": downsample}
    layers = trace(Architecture.from_data(small(stages=[stage])))
    assert layers[1].kind == downsample
    assert layers[2].output == Shape(size, size, 5)


def test_adapted_changes_what_the_data_set_decides() -> None:
    net = Architecture.from_data(small()).adapt(classes=7, image=(9, 10), channels=3)
    assert (net.classes, net.input) == (7, (9, 10, 3))


def test_auxiliary_heads_are_wired_only_on_request() -> None:
    data = small(
        stages=[{"block": "plain", "width": 4}],
        auxiliary=[{"after": 0, "head": {"layers": [{"type": "global_pool"}]}}],
    )
    net = Architecture.from_data(data)
    assert len(net.wire(CountingOps(net.style), Shape(8, 8, 1))) == 2
    assert len(net.wire(CountingOps(net.style), Shape(8, 8, 1), auxiliary=False)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": [{"block": "basik"}]}, "stages.0.block: unknown type 'basik', did you mean"),
        (
            {"stages": [{"block": {"type": "basic", "kernal": 3}}]},
            "stages.0.block.kernal: unknown key, did you mean 'kernel'?",
        ),
        ({"stages": [{"block": "basic", "wdth": 3}]}, "stages.0.wdth: unknown key, did you mean"),
        (
            {"stages": [{"block": "basic", "width": -3}]},
            "stages.0.width: input should be greater than 0, got -3",
        ),
        (
            {"stages": [{"block": {"type": "inception", "branches": [1, 2, 3]}}]},
            "stages.0.block.branches: too few values, got 3",
        ),
        ({"inpt": 3}, "inpt: unknown key, did you mean 'input'?"),
        ({"head": {"droput": 1}}, "head.droput: unknown key, did you mean 'dropout'?"),
        (
            {"style": {"zzz": 1}},
            "style.zzz: unknown key (known: activation, bias, norm, norm_epsilon, norm_groups,",
        ),
        ({"head": {"foo": 1}}, "head.foo: unknown key (known: classifier, dropout, layers)"),
        (
            {"stages": [{"block": {"type": "fused_mbconv", "shortcut": "pad"}}]},
            "stages.0.block.shortcut: unknown key (known: attention, divisor, expansion, kernel,",
        ),
        ({"style": {"norm": "instance"}}, "'global_response' or 'none', got 'instance'"),
        (
            {"stages": [{"type": "branches", "paths": [[{"type": "darknet"}]]}]},
            "stages.0.paths.0.0: 'darknet' is a block, and only layers stand here and in paths; a",
        ),
        (
            {"stages": [{"block": "max_pool"}]},
            "stages.0.block: 'max_pool' is a layer, and only a block stands here",
        ),
        (
            {"stages": [{"type": "branches", "paths": [[]], "depth": 3}]},
            "stages.0.depth: a layer does not repeat; a block of its layers does: {block: {type: p",
        ),
        ({"stages": [{"block": {"kernel": 3}}]}, "stages.0.block: missing type"),
        ({"stages": 3}, "stages: input should be a valid array, got 3"),
        ({"stem": [{"type": "conv", "filters": "8"}]}, "stem.0.filters: input should be a valid"),
        ({"classes": None}, "classes: input should be a valid integer, got None"),
        (
            {"auxiliary": [{"after": 4, "head": {}}]},
            "an auxiliary head reads stage 4, which is not there",
        ),
    ],
)
def test_a_wrong_architecture_is_reported_in_one_line(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ArchitectureError) as caught:
        Architecture.from_data(small(**changes), "net.yaml")
    assert str(caught.value).startswith("net.yaml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_json_is_reported_in_one_line() -> None:
    with pytest.raises(ArchitectureError, match="not JSON"):
        Architecture.from_json("{")


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([{"block": "basic"}], "stages.0.0: a stage of 'basic' blocks needs a width"),
        (
            [{"block": "plain", "width": 4, "stride": 2}] * 4,
            "stages.3.0: stride 2 on a 1x1 map shrinks it below 1x1",
        ),
        (
            [{"type": "conv", "filters": 4, "kernel": 9, "padding": "valid"}],
            "stages.0: a window of 9x9 on a map of shape 8x8x1 shrinks it below 1x1",
        ),
        (
            [{"block": {"type": "plain", "groups": 3}, "width": 4}],
            "stages.0.0: 3 groups do not divide 1 channels into 4",
        ),
        (
            [
                {
                    "type": "branches",
                    "paths": [[{"type": "max_pool"}], [{"type": "conv", "filters": 3}]],
                }
            ],
            "stages.0: branches to be concatenated have shapes 4x4x1 and 8x8x3",
        ),
        (
            [{"type": "branches", "join": "add", "paths": [[], [{"type": "conv", "filters": 3}]]}],
            "stages.0: branches to be added have shapes 8x8x1 and 8x8x3",
        ),
    ],
)
def test_what_cannot_be_wired_names_place_rule_and_shapes(
    stages: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(ArchitectureError) as caught:
        count(Architecture.from_data(small(stages=stages)))
    assert str(caught.value) == message


def test_too_many_blocks_are_an_error_before_any_is_wired() -> None:
    deep = Architecture.from_data(small(stages=[{"block": "basic", "depth": 900, "width": 8}] * 2))
    op = CountingOps(Style())
    with pytest.raises(ArchitectureError, match=r"^stages\.1: more than 1,000 blocks in all$"):
        deep.wire(op, Shape(*deep.input))
    assert op.count == 0


def test_to_data_leaves_defaults_out() -> None:
    data = Architecture.from_data(small(stages=[{"block": "basic", "width": 8}])).to_data()
    assert data["stages"] == [{"block": {"type": "basic"}, "width": 8}]
    assert json.loads(json.dumps(data)) == data


def test_a_stage_has_its_own_activation_and_norm() -> None:
    """The wiring is that of a network whose style is the stage's."""
    stage = {"block": "preact_basic", "width": 8, "depth": 2}
    styled = {**stage, "activation": "swish", "norm": "layer"}
    own = Architecture.from_data(small(stages=[styled]))
    whole = Architecture.from_data(
        small(stages=[stage], style={"activation": "swish", "norm": "layer"})
    )
    plain = Architecture.from_data(small(stages=[stage]))
    assert own.fingerprint == whole.fingerprint != plain.fingerprint
    mixed = Architecture.from_data(small(stages=[stage, styled, stage]))
    kinds = [step.options["kind"] for step in trace(mixed) if step.verb == "normalize"]
    assert kinds == ["batch"] * 2 + ["layer"] * 2 + ["batch"] * 3


def test_acts_are_the_outputs_of_convolution_and_dense_layers() -> None:
    stem = [
        {"type": "conv", "filters": 4, "stride": 2},
        {"type": "max_pool"},
        {"type": "depthwise_conv"},
    ]
    network = Architecture.from_data(small(stem=stem))
    assert count(network).acts == 4 * 4 * 4 + 2 * 2 * 4 + 3


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"type": "channel_shuffle", "groups": 3}], "stem.1: 3 groups do not divide 4 channels"),
        ([{"type": "channel_split", "take": [2]}], "stem.1: there is no part 2 of 2"),
        ([{"type": "norm", "kind": "group"}], "stem.1: 32 groups do not divide 4 channels"),
    ],
)
def test_channels_that_do_not_divide_are_an_error(
    layers: list[dict[str, object]], message: str
) -> None:
    stem = [{"type": "conv", "filters": 4}, *layers]
    with pytest.raises(ArchitectureError, match=re.escape(message)):
        count(Architecture.from_data(small(stem=stem)))


def test_linear_widths_are_those_of_regnet() -> None:
    """RegNetX-400MF as table 2 of arXiv:2003.13678 prints it."""
    widths = {"initial": 24, "slope": 24.48, "multiplier": 2.54}
    item = {"block": "regnet", "depth": 22, "widths": widths}
    network = Architecture.from_data(small(stages=[item], input=[32, 32, 3]))
    found = [(stage.depth, stage.width) for stage in network.stages if isinstance(stage, Stage)]
    assert found == [(1, 32), (2, 64), (7, 160), (12, 384)]
    assert Architecture.from_json(network.to_json()) == network
    with pytest.raises(ArchitectureError, match=r"stages\.0\.widths\.multiplier: .* 1, got 1"):
        item = {"block": "regnet", "depth": 22, "widths": {**widths, "multiplier": 1}}
        Architecture.from_data(small(stages=[item]))
