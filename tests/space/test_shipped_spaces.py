"""The spaces that ship: each holds its family's published network, and wires nearly always."""

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.architecture.wiring import trace
from cnnsearch.errors import ArchitectureError
from cnnsearch.space.choices import Value
from cnnsearch.space.files import list_spaces
from cnnsearch.space.published import load_published
from cnnsearch.space.search_space import SearchSpace

BASIC = {"variables.block": "basic", "variables.block.basic.shortcut": "pad"}
B0 = {
    **{"variables.squeeze": 0.25, "variables.expansion": 6, "stem.0.filters": 32},
    **{"stem.0.stride": 2, "stages.1.stride": 2, "stages.7.filters": 1280},
    **{f"stages.{i}.depth": d for i, d in enumerate((1, 2, 2, 3, 3, 4, 1))},
    **{f"stages.{i}.width": w for i, w in enumerate((16, 24, 40, 80, 112, 192, 320))},
    **{f"stages.{i}.block.kernel": 5 for i in (2, 4, 5)},
    **{"head.dropout": 0.2, "drop_path": 0.2},
}
MODULES = {
    **{0: "64x96x128x16x32x32", 1: "128x128x192x32x96x64", 3: "192x96x208x16x48x64"},
    **{4: "160x112x224x24x64x64", 5: "128x128x256x24x64x64", 6: "112x144x288x32x64x64"},
    **{7: "256x160x320x32x128x128", 9: "256x160x320x32x128x128", 10: "384x192x384x48x128x128"},
}
GOOGLENET = {
    **{"variables.stride": 2, "variables.between": "local_response_norm", "style.norm": "none"},
    **{"stem.0.filters": 64, "stem.0.kernel": 7, "stem.3.filters": 64, "stem.4.filters": 192},
    **{f"stages.{i}.block.inception.branches": widths for i, widths in MODULES.items()},
    **{f"stages.{i}.depth": 1 for i in (1, 4, 5, 6, 7, 10)},
    "head.dropout": 0.4,
}
MIXED = {
    **{f"stages.{i}.block": "basic" for i in range(3)},
    **{f"stages.{i}.depth": 3 for i in range(3)},
    "variables.width": 16,
}
RESNEXT = {
    **{"variables.width": 128, "variables.block.groups": 32, "variables.block.expansion": 2},
    **{f"stages.{i}.depth": d for i, d in enumerate((3, 4, 6, 3))},
}


def cell(name: str, text: str) -> dict[str, Value]:
    """The choices of a cell, written as ``input operation, input operation`` for each node."""
    short = {"sep": "separable_", "avg": "avg_pool_3x3", "max": "max_pool_3x3", "id": "identity"}
    values: dict[str, Value] = {}
    for number, node in enumerate(text.split(";")):
        for side, end in enumerate(node.split(",")):
            state, op = end.split()
            full = f"{short['sep']}{op[3]}x{op[3]}" if op[:3] == "sep" else short.get(op, op)
            values[f"variables.{name}.{number}.inputs.{side}"] = int(state)
            values[f"variables.{name}.{number}.ops.{side}"] = full
    assert values.pop(f"variables.{name}.0.inputs.0") == 1, "it is fixed"
    return values


NASNET_A = {
    **cell("normal", "1 sep5,0 sep3;0 sep5,0 sep3;1 avg,0 id;0 avg,0 avg;1 sep3,1 id"),
    **cell("reduction", "1 sep5,0 sep7;1 max,0 sep7;1 avg,0 sep5;3 id,2 avg;2 sep3,1 max"),
    **{"variables.together": "0x2x3x4x5x6", "variables.halved": "3x4x5x6"},
}
NASNET_MOBILE = {
    **NASNET_A,
    **{"variables.width": 44, "variables.depth": 4, "stages.0.depth": 1, "stages.1.depth": 1},
    **{"stem.0.filters": 32, "stem.0.stride": 2, "stem.0.padding": "valid"},
}
AMOEBANET_A = {
    **cell("normal", "1 max,0 avg;0 sep3,2 sep5;0 sep3,3 avg;1 sep3,1 id;0 id,1 avg"),
    **cell("reduction", "1 sep3,0 avg;0 max,2 sep7;0 sep7,1 avg;0 max,1 max;0 conv_1x7_7x1,5 sep3"),
    **{"variables.together": "null", "variables.halved": "null"},
}


def mobilenet(width: int) -> dict[str, Value]:
    depths = {f"stages.{i}.depth": d for i, d in enumerate((1, 2, 2, 6, 2))}
    start: dict[str, Value] = {"variables.width": width, "stem.0.stride": 2}
    return {**start, **depths, "style.activation": "relu6", "head.dropout": 0.001}


def stages(depth: int) -> dict[str, Value]:
    return {f"stages.{i}.depth": depth for i in range(3)}


def slot(number: int, kind: str, depth: int, width: int, **options: Value) -> dict[str, Value]:
    """A stage of the mobile spaces."""
    place = f"stages.{number}"
    chosen = {f"{place}.block.{kind}.{key}": value for key, value in options.items()}
    size: dict[str, Value] = {} if number == 0 else {f"{place}.width": width}
    return {f"{place}.block": kind, f"{place}.depth": depth, **size, **chosen}


def unused(*numbers: int) -> dict[str, Value]:
    return {f"stages.{number}.depth": 0 for number in numbers}


def inverted(number: int, depth: int, width: int, kernel: int, expansion: float,
             gate: str = "null") -> dict[str, Value]:  # fmt: skip
    options: dict[str, Value] = {"kernel": kernel, "expansion": expansion, "attention": gate}
    return slot(number, "inverted_residual", depth, width, **options)


def universal(number: int, width: int, start: int, kernel: str, expansion: int) -> dict[str, Value]:
    options: dict[str, Value] = {"start_kernel": start, "kernel": kernel, "expansion": expansion}
    return slot(number, "universal_inverted", 1, width, **options)


MOBILENET_V3: dict[str, Value] = {
    **{"style.activation": "hard_swish", "variables.early": "relu", "stem.0.filters": 16},
    **unused(0, 2, 9, 10, 11, 12),
    **inverted(1, 1, 16, 3, 1.0, "squeeze_excite"),
    **inverted(3, 1, 24, 3, 4.5),
    **inverted(4, 1, 24, 3, 3.6667),
    **inverted(5, 1, 40, 5, 4, "squeeze_excite-1"),
    **inverted(6, 2, 40, 5, 6, "squeeze_excite-1"),
    **inverted(7, 2, 48, 5, 3, "squeeze_excite-1"),
    **inverted(8, 3, 96, 5, 6, "squeeze_excite-1"),
    **{"stages.13.filters": 576, "head.layers": "option-2", "head.dropout": 0.2},
}
MOBILENET_V4: dict[str, Value] = {
    **{"style.activation": "relu", "variables.early": "relu", "stem.0.filters": 32},
    **unused(0),
    **slot(1, "plain", 1, 32, kernel=3),
    **slot(2, "plain", 1, 32, kernel=1),
    **slot(3, "plain", 1, 96, kernel=3),
    **slot(4, "plain", 1, 64, kernel=1),
    **universal(5, 96, 5, "5", 3),
    **inverted(6, 4, 96, 3, 2),
    **universal(7, 96, 3, "null", 4),
    **universal(8, 128, 3, "3", 6),
    **universal(9, 128, 5, "5", 4),
    **inverted(10, 1, 128, 5, 4),
    **inverted(11, 1, 128, 5, 3),
    **inverted(12, 2, 128, 3, 4),
    **{"stages.13.filters": 960, "head.layers": "option-3", "head.dropout": 0.2},
}
EFFICIENTNET_V2: dict[str, Value] = {
    **{"style.activation": "swish", "variables.early": "swish", "stem.0.filters": 32},
    **unused(2, 4, 7, 9, 10, 11, 12),
    **slot(0, "fused_mbconv", 1, 16),
    **slot(1, "fused_mbconv", 2, 32),
    **slot(3, "fused_mbconv", 2, 48),
    **inverted(5, 3, 96, 3, 4, "squeeze_excite-2"),
    **inverted(6, 5, 112, 3, 6, "squeeze_excite-2"),
    **inverted(8, 8, 192, 3, 6, "squeeze_excite-2"),
    **{"stages.13.filters": 1280, "head.layers": "option-1", "head.dropout": 0.2},
    **{"drop_path": 0.2},
}
STRIDES: dict[str, Value] = {"stem.0.stride": 2, "stages.1.stride": 2, "stages.8.stride": 2}


def regnet(depth: int, initial: int, slope: float, multiplier: float, group: int,
           gate: str = "null") -> dict[str, Value]:  # fmt: skip
    widths: dict[str, Value] = {"initial": initial, "slope": slope, "multiplier": multiplier}
    block: dict[str, Value] = {"group_width": group, "attention": gate}
    return {
        **{f"stages.0.widths.{key}": value for key, value in widths.items()},
        **{f"stages.0.block.{key}": value for key, value in block.items()},
        **{"stages.0.depth": depth, "stem.0.filters": 32},
    }


def residual_photos(block: str, depths: str, **options: Value) -> dict[str, Value]:
    """A ResNet for ImageNet: its depths as digits."""
    return {
        **{"image": 224, "variables.width": 64, "variables.block": block},
        **{f"variables.block.{block}.{key}": value for key, value in options.items()},
        **{f"stages.{i}.depth": int(depth) for i, depth in enumerate(depths)},
    }


def mobilenet_photos(width: int) -> dict[str, Value]:
    depths = {f"stages.{i}.depth": d for i, d in enumerate((1, 2, 2, 6, 2))}
    return {"image": 224, "variables.width": width, **depths}


B0_PHOTOS = {"image": 224, **{key: value for key, value in B0.items() if "stride" not in key}}
B0_PHOTOS.pop("stages.0.depth")
DENSENET_121: dict[str, Value] = {
    **{"image": 224, "variables.growth": 32, "variables.block.bottleneck": 4},
    **{f"stages.{i}.depth": d for i, d in enumerate((6, 12, 24, 16))},
}


POINTS: list[tuple[str, str, Mapping[str, Value]]] = [
    ("residual", "resnet-20-cifar", {**BASIC, "variables.width": 16, **stages(3)}),
    ("residual", "resnet-56-cifar", {**BASIC, "variables.width": 16, **stages(9)}),
    ("residual", "resnet-20-cifar-b", {"variables.width": 16, **stages(3)}),
    (
        "dense",
        "densenet-bc-100-12",
        {"variables.growth": 12, "variables.block.bottleneck": 4, **stages(16)},
    ),
    (
        "fractal",
        "fractalnet-20",
        {"variables.width": 64, "variables.block.columns": 3, "variables.block.drop_path": 0.15},
    ),
    ("separable", "mobilenet-v1", mobilenet(32)),
    ("separable", "mobilenet-v1-0.25", mobilenet(8)),
    ("efficientnet", "efficientnet-b0", B0),
    ("mobile-photos", "mobilenet-v3-small", MOBILENET_V3),
    ("mobile-photos", "mobilenet-v4-conv-small", MOBILENET_V4),
    ("mobile-photos", "efficientnet-v2-b0", EFFICIENTNET_V2),
    ("mobile", "mobilenet-v3-small", {**MOBILENET_V3, **STRIDES}),
    ("mobile", "mobilenet-v4-conv-small", {**MOBILENET_V4, **STRIDES}),
    ("mobile", "efficientnet-v2-b0", {**EFFICIENTNET_V2, **STRIDES}),
    ("residual-photos", "resnet-18", residual_photos("basic", "2222")),
    ("residual-photos", "resnet-34", residual_photos("basic", "3463")),
    ("residual-photos", "resnet-50", residual_photos("bottleneck", "3463", expansion=4)),
    ("separable-photos", "mobilenet-v1", mobilenet_photos(32)),
    ("separable-photos", "mobilenet-v1-0.25", mobilenet_photos(8)),
    ("efficientnet-photos", "efficientnet-b0", B0_PHOTOS),
    ("dense-photos", "densenet-121", DENSENET_121),
    ("regnet-photos", "regnet-x-200mf", regnet(13, 24, 36.44, 2.49, 8)),
    ("regnet-photos", "regnet-x-1.6gf", regnet(18, 80, 34.01, 2.25, 24)),
    ("regnet-photos", "regnet-y-400mf", regnet(16, 48, 27.89, 2.09, 8, "squeeze_excite")),
]


def point(name: str, wanted: Mapping[str, Value]) -> Architecture:
    """The candidate with the wanted values, and the first option or lowest number elsewhere."""
    space, values = SearchSpace.load(name), dict[str, Value]()
    for parameter in space.parameters:
        if all(values.get(key) == value for key, value in parameter.when):
            values[parameter.name] = wanted.get(parameter.name, parameter.list_edges()[0])
    assert not set(wanted) - set(values), "the space has no such choice"
    return space.decode(values).architecture


@pytest.mark.parametrize(("space", "network", "values"), POINTS)
def test_the_published_network_is_a_point(
    space: str, network: str, values: Mapping[str, Value]
) -> None:
    published = load_published(network)
    fitted = point(space, values).adapt(classes=published.classes, image=published.input[:2])
    assert fitted.fingerprint == published.fingerprint


@pytest.mark.parametrize(
    ("space", "network", "values"),
    [
        ("inception", "googlenet", GOOGLENET),
        ("mixed", "resnet-20-cifar-b", MIXED),
        ("cells", "nasnet-mobile", NASNET_MOBILE),
    ],
)
def test_the_published_network_costs_what_a_point_costs(
    space: str, network: str, values: Mapping[str, Value]
) -> None:
    published = load_published(network)
    fitted = point(space, values).adapt(classes=published.classes, image=published.input[:2])
    assert count(fitted) == count(published)


def test_amoebanet_is_a_point_whose_unread_nodes_are_the_papers() -> None:
    """Real et al., arXiv:1802.01548, figure 5: three states leave either cell."""
    architecture = point("cells", {**AMOEBANET_A, "variables.width": 16})
    ends = [step.output.c for step in trace(architecture) if step.verb == "concat"]
    assert {ends[0], ends[-1]} == {3 * 16, 3 * 64}


def test_resnext_50_is_a_point_behind_its_own_stem() -> None:
    published = load_published("resnext-50-32x4d")
    fitted = point("resnext", RESNEXT).adapt(classes=1000, image=(224, 224))
    assert fitted.fingerprint != published.fingerprint
    fitted = fitted.model_copy(update={"stem": published.stem})
    assert fitted.fingerprint == published.fingerprint


@pytest.mark.parametrize("name", list_spaces())
def test_random_candidates_can_be_wired(name: str) -> None:
    space, rng, failed = SearchSpace.load(name), random.Random(5), 0
    for _ in range(200):
        try:
            space.cost(space.sample(rng))
        except ArchitectureError:
            failed += 1
    assert failed <= 10


@pytest.mark.parametrize("name", list_spaces())
def test_the_smallest_candidates_suit_two_cores(name: str) -> None:
    assert count(SearchSpace.load(name).decode_first().architecture).macs < 50_000_000


@pytest.mark.parametrize("name", list_spaces())
def test_the_file_opens_with_its_command(name: str) -> None:
    text = Path(list_spaces()[name]).read_text("utf-8")
    assert text.startswith(f"# cnnsearch search {name}")
    assert SearchSpace.load(name).description
