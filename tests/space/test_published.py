"""The published networks: every entry exact, three ways, and quickly counted."""

import json
import time
from pathlib import Path

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import Cost, count
from cnnsearch.errors import SpaceError
from cnnsearch.space.files import list_published_files
from cnnsearch.space.published import (
    HEADER,
    PublishedNetwork,
    list_published,
    load_published,
    make_rows,
)
from cnnsearch.space.search_space import SearchSpace
from tests.measuring import measure

NETWORKS = list_published()
NAMES = [network.name for network in NETWORKS]
COUNTS = json.loads(Path(__file__).with_name("independent_counts.json").read_text())
INDEPENDENT, DEPLOYED = COUNTS["networks"], COUNTS["deployed"]

# One of each family, light enough to be built in a second or two.
LIGHT = [
    "lenet-5", "lenet-5-modern", "googlenet-auxiliary", "resnet-20-cifar", "resnet-20-cifar-b",
    "fractalnet-10-small", "densenet-bc-100-12", "squeezenet-1.1", "mobilenet-v1-0.25",
    "mobilenet-v2", "efficientnet-b0", "convnext-tiny",
    "res2net-50-26w-4s", "repvgg-a0", "fasternet-t0", "starnet-s050",
    "mobilenet-v3-small", "shufflenet-v2-0.5", "ghostnet-0.5", "regnet-x-200mf",
]  # fmt: skip


def golden(network: PublishedNetwork) -> Cost:
    return Cost(network.params, network.params_total, network.macs, network.acts)


def test_the_golden_names_exactly_the_files_there_are() -> None:
    assert sorted(NAMES) == sorted(list_published_files())
    assert all(list_published_files()[n.name].parent.name == n.family for n in NETWORKS)


@pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
def test_counts_meet_the_golden(network: PublishedNetwork) -> None:
    assert count(load_published(network.name)) == golden(network)


def test_every_network_has_independent_counts() -> None:
    assert sorted(INDEPENDENT) == sorted(NAMES)
    assert all(counts["source"] and counts["params"] for counts in INDEPENDENT.values())


@pytest.mark.parametrize("name", NAMES)
def test_counts_equal_the_independent_ones(name: str) -> None:
    """By name: a network that had another's counts would fail."""
    expected = {key: value for key, value in INDEPENDENT[name].items() if key != "source"}
    found = vars(count(load_published(name)))
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("name", DEPLOYED)
def test_counts_of_folded_networks_equal_the_independent_ones(name: str) -> None:
    cost = count(load_published(name).fold())
    assert (cost.params, cost.macs) == (DEPLOYED[name]["params"], DEPLOYED[name]["macs"])
    assert cost.params_total == cost.params, "no normalization is left"


def test_only_networks_with_training_branches_change_when_folded() -> None:
    changed = [n for n in NAMES if load_published(n).fold() != load_published(n)]
    assert sorted(changed) == sorted(DEPLOYED)


def test_counting_the_whole_table_is_quick() -> None:
    best = min(_seconds_for_the_table() for _ in range(3))
    assert best < 1.0  # 146 networks in 0.5 s, twice that beside other work


def _seconds_for_the_table() -> float:
    """Processor time, since other work may share the machine."""
    start = time.process_time()
    for network in list_published():
        count(load_published(network.name))
    return time.process_time() - start


@pytest.mark.networks
@pytest.mark.parametrize("name", LIGHT)
def test_built_models_have_the_golden_cost(name: str) -> None:
    assert built(load_published(name)) == golden(NETWORKS[NAMES.index(name)])


@pytest.mark.slow
@pytest.mark.networks
@pytest.mark.parametrize("name", [name for name in NAMES if name not in LIGHT])
def test_all_built_models_have_the_golden_cost(name: str) -> None:
    assert built(load_published(name)) == golden(NETWORKS[NAMES.index(name)])


def built(architecture: Architecture) -> Cost:
    """Counts the built model from its layers' own shapes; no values are made for its weights."""
    import keras

    from cnnsearch.training.model import build

    keras.backend.clear_session()
    with keras.StatelessScope():
        return measure(build(architecture, auxiliary=True))


def test_a_published_network_is_a_space_without_choices() -> None:
    space = SearchSpace.load("resnet-50-v1.5")
    assert space.size == 1
    assert space.decode({}).architecture == load_published("resnet-50-v1.5")


def test_every_network_survives_json() -> None:
    for name in NAMES:
        architecture = load_published(name)
        assert Architecture.from_json(architecture.to_json()) == architecture


def test_every_file_opens_with_its_title_and_paper() -> None:
    for network in NETWORKS:
        text = list_published_files()[network.name].read_text("utf-8")
        comment = " ".join(x.lstrip("# ") for x in text.splitlines() if x.startswith("#"))
        assert text.startswith(f"# {network.title} ({network.year})")
        assert network.reference in comment
        assert load_published(network.name).name == network.name


def test_networks_differ() -> None:
    prints = {load_published(name).fingerprint for name in NAMES}
    assert len(prints) == len(NAMES)


def test_the_table_has_a_row_a_network() -> None:
    rows = {row[0]: dict(zip(HEADER, row, strict=True)) for row in make_rows()}
    assert len(rows) == len(NAMES)
    assert rows["resnet-50"]["params"] == "25,557,032"
    assert rows["resnet-50"]["paper"] == "arXiv:1512.03385"
    assert rows["resnet-50"]["as printed"] == "25.5M / 3.8G"
    assert rows["lenet-5"]["paper"] == "doi:10.1109/5.726791"


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(SpaceError, match=r"'resnet50'.*'resnet-50'"):
        load_published("resnet50")
