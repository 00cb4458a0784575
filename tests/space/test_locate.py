"""Finding a network in a space."""

import random

import pytest

from cnnsearch.architecture.stages import Head
from cnnsearch.space.choices import list_corners
from cnnsearch.space.locate import locate
from cnnsearch.space.published import load_published
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.space.unify import unify
from tests.space.test_shipped_spaces import GOOGLENET, POINTS


@pytest.mark.parametrize(
    ("space", "network"), [*((s, n) for s, n, _ in POINTS), ("inception", "googlenet")]
)
def test_a_published_network_is_found_in_its_familys_space(space: str, network: str) -> None:
    published, loaded = load_published(network), SearchSpace.load(space)
    found = locate(published, loaded)
    assert found.is_exact and found.differences == ()
    image, classes = published.input[:2], published.classes
    architecture = loaded.decode(loaded.complete(found.values)).architecture
    fitted = architecture.adapt(classes=classes, image=image, channels=published.input[2])
    assert fitted.fingerprint == published.fingerprint
    assert space != "inception" or found.values["variables.stride"] == GOOGLENET["variables.stride"]


@pytest.mark.parametrize("name", ["mixed", "mobile", "regnet"])
def test_random_candidates_are_found_again(name: str) -> None:
    space, rng = SearchSpace.load(name), random.Random(3)
    for _ in range(3):
        network = space.decode(space.sample(rng)).architecture
        found = locate(network, space)
        assert found.is_exact
        assert space.decode(space.complete(found.values)).architecture.fingerprint == (
            network.fingerprint
        )


def test_what_is_not_there_is_not_found() -> None:
    found = locate(load_published("mobilenet-v1"), SearchSpace.load("residual"))
    assert not found.is_exact
    assert ("style.activation", "relu6", "relu") in found.differences


PREACTIVATED = """
input: [8, 8, 3]
classes: 3
stages:
  - {block: {choice: [preact_basic, basic]}, width: {choice: [4, 8]}}
  - {block: {choice: [basic, preact_basic]}, depth: {int: [0, 2]}, width: 8, stride: 2}
  - {block: {choice: [preact_basic, basic]}, depth: {int: [1, 2]}, width: {choice: [4, 8]}}
drop_path: {choice: [0.0, 0.1]}
"""


def test_every_point_of_a_space_is_found_by_its_wiring_alone() -> None:
    """Among them stages that end with an activation only if no further such stage follows."""
    space = SearchSpace.from_text(PREACTIVATED, "preactivated")
    for values in list_corners(space.parameters):
        network = space.decode(values).architecture
        found = unify(network, space)
        assert found is not None
        wired = space.decode({**found, "drop_path": values["drop_path"]}).architecture
        assert wired.fingerprint == network.fingerprint


def test_a_network_beside_a_space_is_not_found() -> None:
    space = SearchSpace.from_text(PREACTIVATED, "preactivated")
    network = space.decode_first().architecture
    other = network.model_copy(update={"classes": 4, "head": Head(dropout=0.3)})
    assert unify(other, space) is None
    found = locate(other, space)
    assert found.differences == (("head.dropout", "0.3", "0.0"),)
