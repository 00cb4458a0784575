"""What every block promises; a new one in FAMILIES is tested by being there."""

import re
from typing import Any

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import Cost, count
from cnnsearch.architecture.counting import CountingOps
from cnnsearch.architecture.wiring import trace
from cnnsearch.blocks import FAMILIES, LAYERS, Block, Rounding, Shape, Style
from cnnsearch.blocks.node import round_down
from cnnsearch.errors import ArchitectureError
from tests.measuring import measure

BLOCKS = {
    block.model_fields["type"].default: block for family in FAMILIES.values() for block in family
}
PATHS = [
    [{"type": "conv", "filters": 8, "kernel": 1}],
    [
        {"type": "conv", "filters": 8, "kernel": [1, 3]},
        {"type": "max_pool", "size": 3, "stride": 1},
    ],
]

NODES = [
    {"inputs": [0, 1], "ops": ["conv_1x1", "conv_3x3"]},
    {"inputs": [2, 0], "ops": ["conv_1x7_7x1", "max_pool_3x3"]},
    {"inputs": [1, 0], "ops": ["dilated_3x3", "identity"]},
    {"inputs": [1, 0], "ops": ["dilated_3x3", "avg_pool_3x3"]},
    {"inputs": [3, 5], "ops": ["separable_7x7", "identity"]},
    {"inputs": [1, 0], "ops": ["max_pool_3x3", "identity"]},
]

# Beside its defaults, what else a block can be; a block that cannot do without names it here.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "plain": [{"kernel": [3, 5], "groups": 4}, {"dilation": 2}],
    "inception": [{"branches": [4, 3, 5, 2, 6, 7], "pool": "avg"}],
    "inception_v2": [{"branches": [0, 3, 5, 2, 6, 0]}, {"branches": [4, 3, 5, 2, 6, 7]}],
    "inception_factorized": [{"spread": True, "kernel": 3}],
    "inception_residual": [{"kernel": 7, "activation": False}, {"paths": PATHS}],
    "parallel": [{"paths": PATHS}, {"paths": [*PATHS, []], "join": "concat"}],
    "basic": [{"shortcut": "pad", "squeeze_ratio": 0.25}, {"shortcut": "pool", "dilation": 2}],
    "bottleneck": [
        {"groups": 4, "expansion": 2, "stride_on": "first"},
        {"dilation": 2, "squeeze_ratio": 0.1},
    ],
    "preact_basic": [{"dropout": 0.3, "squeeze_ratio": 0.25}, {"pool_shortcut": True}],
    "preact_bottleneck": [{"pool_shortcut": True, "out_bias": True}, {"groups": 4, "kernel": 2}],
    "dense": [{"growth": 5, "bottleneck": 0, "compression": 0.7}],
    "separable": [{"kernel": 5, "dilation": 2}],
    "inverted_residual": [{"expansion": 1}],
    "mbconv": [{"kernel": 5, "squeeze_ratio": 0.01}, {"expansion": 2.5, "divisor": 8}],
    "fused_mbconv": [{"expansion": 1}, {"kernel": 5, "expansion": 1.5}],
    "universal_inverted": [
        {"start_kernel": 5, "kernel": None},
        {"start_kernel": 3, "kernel": 5, "expansion": 2.5},
        {"kernel": None},
    ],
    "regnet": [{"group_width": 8, "ratio": 0.5}, {"shortcut": "pool", "kernel": 5}],
    "shuffle_v2": [{"kernel": 5}],
    "ghost": [{"expansion": 1.5, "divisor": 1, "cheap_kernel": 5}, {"kernel": 5}],
    "xception": [{"layers": 2, "activate_first": False}, {"widths": [6, 9]}],
    "fire": [{"bypass": True, "wide_share": 0.9}],
    "fractal": [{"columns": 4, "doubling": True, "drop_path": 0.0}],
    "cell": [
        {"nodes": NODES, "output": [0, 1, 6, 7]},
        {"nodes": NODES[:2], "zero_padding": True, "skip": True},
    ],
    "cross_stage": [
        {"unit": "darknet", "grow": True, "ratio": 0.5},
        {"groups": 4, "expansion": 2.0, "share": 1.0, "linear": True},
    ],
    "darknet": [{"ratio": 1.0, "kernel": 5}],
    "res2net": [{"scales": 3, "groups": 2, "shortcut": "pool"}],
    "repvgg": [{"branches": 2, "kernel": 5}, {"groups": 8}, {"folded": True}],
    "mobileone": [{"branches": 3}, {"folded": True}],
    "convmixer": [{"kernel": 5}],
    "fasternet": [{"share": 1.0, "expansion": 3}],
    "inception_next": [{"share": 0.3, "band": 7, "layer_scale": 0.0}],
    "starnet": [{"kernel": 3, "expansion": 3}],
    "convnext_v2": [{"expansion": 2, "kernel": 5}],
    "convnext": [{"layer_scale": 0.0, "expansion": 2, "kernel": 5}],
}
NEEDED = {"parallel": {"paths": PATHS}}
CASES = [
    (name, {"type": name, **NEEDED.get(name, {}), **variant})
    for name in BLOCKS
    for variant in [{}, *VARIANTS.get(name, [])]
]
every_block = pytest.mark.parametrize("name", BLOCKS)
NAMED = [f"{i}-{name}" for i, (name, _) in enumerate(CASES)]
every_case = pytest.mark.parametrize("data", [data for _, data in CASES], ids=NAMED)


def network(data: dict[str, Any], **changes: Any) -> Architecture:
    """A strided stage behind one that is not, on a map of odd and different sides."""
    stages = [
        {"block": data, "depth": 1, "width": 16},
        {"block": data, "depth": 2, "width": 32, "stride": 2},
    ]
    stem = [{"type": "conv", "filters": 8}]
    whole = {"input": [15, 11, 3], "classes": 5, "stem": stem, "stages": stages, **changes}
    return Architecture.from_data(whole)


def blocks_in(architecture: Architecture) -> list[Block]:
    return [stage.block for stage in architecture.stages]


@every_case
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(7, 7), (8, 8), (5, 9)])
def test_shrinks_as_its_stride_says(
    data: dict[str, Any], stride: int, size: tuple[int, int]
) -> None:
    block = blocks_in(network(data))[0]
    output = block.wire(CountingOps(Style()), Shape(*size, 8), 16, stride)
    up, down = [[-(-side // stride) for side in size], [side // stride for side in size]]
    assert list(output[:2]) in (up, down)
    assert output.c > 0


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(data, marks=pytest.mark.networks if set(data) - {"type", "paths"} else ())
        for _, data in CASES
    ],
    ids=NAMED,
)
def test_the_built_model_has_the_counted_cost(data: dict[str, Any]) -> None:
    architecture = network(data, drop_path=0.2)
    assert built(architecture) == count(architecture)


@pytest.mark.slow
@every_case
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_the_built_model_has_the_counted_cost_in_any_style(data: dict[str, Any], norm: str) -> None:
    architecture = network(data, style={"norm": norm, "bias": norm == "layer"}, input=[16, 9, 1])
    assert built(architecture) == count(architecture)


@every_case
def test_costs_of_layers_add_up(data: dict[str, Any]) -> None:
    architecture = network(data)
    layers = trace(architecture)
    parts = [
        sum(getattr(x, key) for x in layers) for key in ("params", "params_total", "macs", "acts")
    ]
    assert Cost(*parts) == count(architecture)


@every_case
def test_survives_json(data: dict[str, Any]) -> None:
    architecture = network(data)
    again = Architecture.from_json(architecture.to_json())
    assert again == architecture
    assert again.fingerprint == architecture.fingerprint


@every_case
def test_scales_in_width(data: dict[str, Any]) -> None:
    architecture = network(data)
    double = Rounding(2.0, divisor=1)
    stages = tuple(stage.scale_widths(double) for stage in architecture.stages)
    wide = architecture.model_copy(update={"stages": stages})
    assert count(wide).params > 1.5 * count(architecture).params
    same = tuple(stage.scale_widths(Rounding(1.0)) for stage in architecture.stages)
    assert same == architecture.stages


@every_block
def test_an_unknown_key_is_reported(name: str) -> None:
    with pytest.raises(ArchitectureError, match=r"^x\.yaml: stages\.0\.block\.kernal: unknown key"):
        data = {"type": name, **NEEDED.get(name, {}), "kernal": 3}
        Architecture.from_data(
            {"input": [8, 8, 3], "classes": 5, "stages": [{"block": data}]}, "x.yaml"
        )


@every_block
def test_what_does_not_fit_is_an_error_of_ours(name: str) -> None:
    data = {"type": name, **NEEDED.get(name, {})}
    tiny = {"block": data, "depth": 1, "width": 8, "stride": 2}
    with pytest.raises(ArchitectureError, match=r"^stages\.\d\.0: .*1x1"):
        count(network(data, stages=[tiny] * 6))


@every_block
def test_says_where_it_comes_from(name: str) -> None:
    block = BLOCKS[name]
    assert block in FAMILIES[block.family]
    told = name == "parallel" or re.search(r"arXiv:\d{4}\.\d{4,5}|\(19\d\d\)", block.__doc__ or "")
    assert told, f"{name} names no paper"
    for field in set(block.model_fields) - set(Block.model_fields):
        assert f"{field}: " in (block.__doc__ or ""), f"{name}.{field} is not documented"


def test_types_are_unique() -> None:
    names = [x.model_fields["type"].default for x in LAYERS]
    names += [x.model_fields["type"].default for family in FAMILIES.values() for x in family]
    assert len(set(names)) == len(names)


def built(architecture: Architecture) -> Cost:
    """Counts the built model by its layers' own shapes; no values are made for its weights."""
    import keras

    from cnnsearch.training.model import build

    keras.backend.clear_session()
    with keras.StatelessScope():
        return measure(build(architecture))


@every_case
def test_the_width_is_unused_exactly_where_the_wiring_does_not_depend_on_it(
    data: dict[str, Any],
) -> None:
    one, other = (
        network(data, stages=[{"block": data, "depth": 2, "width": width}]) for width in (24, 48)
    )
    block: Any = one.stages[0]
    assert (one.fingerprint == other.fingerprint) == ("width" in block.block.find_unused())


@pytest.mark.parametrize(
    ("block", "change"),
    [
        ({"type": "xception", "widths": [6, 9]}, {"layers": 5}),
        ({"type": "inception", "branches": [4, 3, 5, 2, 6, 7]}, {"reduction": 0.9}),
        ({"type": "inception_v2", "branches": [4, 3, 5, 2, 6, 7]}, {"reduction": 0.9}),
        ({"type": "inception_residual", "paths": PATHS}, {"reduction": 0.9, "kernel": 7}),
    ],
)
def test_unused_fields_do_not_change_the_wiring(
    block: dict[str, Any], change: dict[str, Any]
) -> None:
    one, other = network(block), network({**block, **change})
    stage: Any = other.stages[0]
    assert set(change) <= set(stage.block.find_unused())
    assert one.fingerprint == other.fingerprint


def test_a_ratio_just_below_a_whole_number_of_channels_gives_that_number() -> None:
    ratios = (0.0833333, 1 / 12, 0.083, 0.001)
    assert [round_down(144 * ratio) for ratio in ratios] == [12, 12, 11, 1]
    block = {"type": "mbconv", "squeeze_ratio": 0.0833333}
    narrow, exact = (network({**block, **more}) for more in ({}, {"squeeze_ratio": 1 / 12}))
    assert count(narrow).params == count(exact).params


GATES = [{"type": "squeeze_excite", "ratio": 0.5}, {"type": "eca", "kernel": 3}]


def gates(block: Block) -> set[str]:
    """The keys that give a block its own gate; SqueezeNet's ratio is of another kind."""
    return set(type(block).model_fields) & {"squeeze_ratio"} if block.attention_places else set()


@every_case
@pytest.mark.parametrize("gate", GATES, ids=["squeeze_excite", "eca"])
def test_every_block_takes_attention_where_it_has_a_place(
    data: dict[str, Any], gate: dict[str, Any]
) -> None:
    block = blocks_in(network(data))[0]
    bare = network({**data, "squeeze_ratio": 0.0} if "squeeze_ratio" in gates(block) else data)
    for place in (None, *(block.attention_places or ("end",))):
        gated = network({**data, "attention": {**gate, "position": place}})
        assert count(gated).params > count(bare).params
        assert count_products(gated) == count_products(bare) + 3
        assert Architecture.from_json(gated.to_json()) == gated


def count_products(architecture: Architecture) -> int:
    """Those of the gates, one in each of three blocks, and StarNet's own."""
    return [step.verb for step in trace(architecture)].count("multiply")


@every_block
def test_without_a_place_for_it_the_gate_reads_the_output_of_the_block(name: str) -> None:
    if BLOCKS[name].attention_places:
        return
    data = {"type": name, **NEEDED.get(name, {})}
    gated = {**data, "attention": {"type": "eca", "kernel": 3}}
    bare, whole = (
        [step for step in trace(network(block)) if step.place == "stages.0.0"]
        for block in (data, gated)
    )
    assert [step.verb for step in whole[:-3]] == [step.verb for step in bare]
    pool, _, product = whole[-3:]
    assert [step.verb for step in whole[-3:]] == ["global_pool", "channel_conv", "multiply"]
    assert pool.inputs[0].number == product.inputs[0].number == bare[-1].number


@every_block
def test_a_place_that_a_block_does_not_have_is_refused(name: str) -> None:
    if BLOCKS[name].attention_places:
        return
    gate = {"type": "eca", "position": "middle"}
    with pytest.raises(ArchitectureError, match=r"attention: position 'middle'.*have only 'end'"):
        network({"type": name, **NEEDED.get(name, {}), "attention": gate})
