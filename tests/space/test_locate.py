"""Finding a network in a space."""

import random

import pytest

from cnnsearch.space.locate import locate
from cnnsearch.space.published import load_published
from cnnsearch.space.search_space import SearchSpace
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


def test_random_candidates_are_found_again() -> None:
    space, rng = SearchSpace.load("mixed"), random.Random(3)
    networks = [space.decode(space.sample(rng)).architecture for _ in range(10)]
    assert sum(locate(network, space).is_exact for network in networks) >= 8


def test_what_is_not_there_is_not_found() -> None:
    found = locate(load_published("mobilenet-v1"), SearchSpace.load("residual"))
    assert not found.is_exact
    assert ("style.activation", "relu6", "relu") in found.differences
