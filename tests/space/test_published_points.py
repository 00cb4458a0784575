"""The table of published networks in the shipped spaces: each entry is the network it is called."""

import re
from functools import cache

import pytest

from cnnsearch.architecture.cost import count
from cnnsearch.space.files import list_spaces
from cnnsearch.space.published import list_published, load_published
from cnnsearch.space.published_points import find_points, read_points
from cnnsearch.space.search_space import SearchSpace

POINTS = [(space, name) for space, entries in read_points().items() for name in entries]
TABLE = read_points()
load = cache(SearchSpace.load)
GOLDEN = {network.name: network for network in list_published()}


@pytest.mark.parametrize(("space", "name"), POINTS)
def test_each_point_costs_what_the_paper_table_says_of_the_network(space: str, name: str) -> None:
    """On the network's own images and classes, where its parameters and MACs are known."""
    published, loaded = load_published(name), load(space)
    height, width, channels = published.input
    fitted = loaded.adapt(classes=published.classes, channels=channels, image=(height, width))
    values = fitted.complete(TABLE[space][name])
    cost, golden = count(fitted.decode(values).architecture), GOLDEN[name]
    assert (cost.params, cost.macs) == (golden.params, golden.macs)
    assert set(values) - set(TABLE[space][name]) <= {
        p.name for p in loaded.parameters if p.name.startswith("recipe.")
    }


@pytest.mark.parametrize("space", list_spaces())
def test_each_point_is_wired_as_the_network_for_the_images_and_classes_of_the_space(
    space: str,
) -> None:
    loaded = load(space).adapt(classes=7, channels=1)
    points = find_points(loaded)
    assert {point.name for point in points} >= set(TABLE.get(space, ()))
    for point in points:
        network = load_published(point.name)
        adapted = network.adapt(classes=7, image=loaded.input[:2], channels=1)
        epsilon = point.architecture.style.norm_epsilon
        style = network.style.model_copy(update={"norm_epsilon": epsilon})
        same = adapted.model_copy(update={"style": style})
        assert point.architecture.fingerprint == same.fingerprint
        assert count(point.architecture) == count(adapted)
        assert loaded.decode(point.values).architecture == point.architecture


def test_the_networks_that_spaces_are_built_around_are_known() -> None:
    depths = (20, 32, 44, 56)
    wanted = {
        "residual": {f"resnet-{n}-cifar{option}" for n in depths for option in ("", "-b")},
        "separable": {f"mobilenet-v1{width}" for width in ("", "-0.25", "-0.5", "-0.75")},
        "dense": {"densenet-bc-100-12"},
        "inception": {"googlenet"},
        "efficientnet": {"efficientnet-b0", "efficientnet-b1", "efficientnet-lite0"},
        "mixed": {"resnet-20-cifar-b"},
    }
    assert {space: set(TABLE[space]) for space in wanted} == wanted


def test_the_recipe_has_its_defaults() -> None:
    (point,) = find_points(load("mixed"))
    recipe = load("mixed").decode(point.values).recipe
    assert recipe.learning_rate == type(recipe)().learning_rate


def test_a_copy_for_other_images_is_known_and_a_changed_one_claims_nothing() -> None:
    text = SearchSpace.load("residual").text
    copy = text.replace("classes: 10", "classes: 3").replace("[32, 32, 3]", "[48, 40, 1]")
    assert len(find_points(SearchSpace.from_text(copy, "mine"))) == 8
    changed = re.sub(r"filters: \$width", "filters: 16, kernel: 5", text)
    assert changed != text
    assert find_points(SearchSpace.from_text(changed, "residual")) == []
    narrow = text.replace("[8, 12, 16, 24, 32]", "[8, 12]")
    assert find_points(SearchSpace.from_text(narrow, "residual")) == []
