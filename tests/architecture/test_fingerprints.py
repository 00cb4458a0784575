"""What changes the fingerprint of an architecture, and what does not."""

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.blocks.ops import Style
from tests.architecture.test_architecture import small


def test_the_fingerprint_ignores_names_and_defaults_but_nothing_that_wires() -> None:
    data = small(stages=[{"block": "basic", "width": 8}])
    plain = Architecture.from_data(data)
    named = Architecture.from_data({**data, "name": "n", "description": "d", "drop_path": 0.0})
    wider = Architecture.from_data(small(stages=[{"block": "basic", "width": 9}]))
    assert plain.fingerprint == named.fingerprint != wider.fingerprint


def test_a_fingerprint_never_changes_from_version_to_version() -> None:
    data = small(stages=[{"block": "basic", "width": 8, "depth": 2}])
    architecture = Architecture.from_data(data)
    assert architecture.fingerprint == "238fa0c38acb1cde"
    assert architecture.data_hash == "03a17cdee4b69a8b"  # seeds are derived from it


SAME_WIRING = [
    ({"depth": 0, "width": 8}, {"depth": 0, "width": 16, "stride": 2}),
    ({"depth": 0, "block": {"type": "plain", "kernel": 3}}, {"depth": 0, "block": "dense"}),
    ({"width": 8, "downsample": "max_pool"}, {"width": 8, "downsample": "avg_pool"}),
    ({"width": 8, "stride_on": "first"}, {"width": 8, "stride_on": "last"}),
    (
        {"block": {"type": "dense", "growth": 4}, "width": 8},
        {"block": {"type": "dense", "growth": 4}, "width": 16},
    ),
    ({"block": {"type": "plain", "kernel": 3}}, {"block": {"type": "plain", "kernel": [3, 3]}}),
]


@pytest.mark.parametrize(("one", "other"), SAME_WIRING)
def test_networks_that_are_wired_equally_have_one_fingerprint(
    one: dict[str, object], other: dict[str, object]
) -> None:
    stages = [[{"block": "basic", "width": 8, **stage}] for stage in (one, other)]
    first, second = (Architecture.from_data(small(stages=stage)) for stage in stages)
    assert first.fingerprint == second.fingerprint
    assert first.data_hash != second.data_hash


def test_the_style_counts_where_a_layer_takes_it() -> None:
    elu = {"style": Style(activation="elu")}
    with_layers = Architecture.from_data(small(stages=[{"block": "basic", "width": 8}]))
    without = Architecture.from_data(small(stages=[]))
    assert with_layers.fingerprint != with_layers.model_copy(update=elu).fingerprint
    assert without.fingerprint == without.model_copy(update=elu).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"drop_path": 0.1},
        {"head": {"layers": [{"type": "global_pool", "kind": "max"}]}},
        {"head": {"dropout": 0.1}},
        {"classes": 11},
        {"input": [9, 9, 1]},
        {"auxiliary": [{"after": 0, "head": {}}]},
    ],
)
def test_whatever_is_wired_changes_the_fingerprint(change: dict[str, object]) -> None:
    data = small(stages=[{"block": "basic", "width": 8, "depth": 2}])
    assert Architecture.from_data({**data, **change}).fingerprint != (
        Architecture.from_data(data).fingerprint
    )


def test_the_weight_of_an_auxiliary_head_changes_the_fingerprint() -> None:
    stages = [{"block": "basic", "width": 8}]
    nets = [
        Architecture.from_data(
            small(stages=stages, auxiliary=[{"after": 0, "head": {}, "weight": weight}])
        )
        for weight in (0.3, 0.4)
    ]
    assert nets[0].fingerprint != nets[1].fingerprint
