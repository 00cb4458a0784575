"""The plain baseline of a search: its shape, its budget, its recipe."""

import pytest

from cnnsearch.architecture.cost import Budget, count
from cnnsearch.space.baseline import LAST_SIDE, build_plain_network, make_baseline
from cnnsearch.space.files import list_spaces
from cnnsearch.space.search_space import SearchSpace

SPACE = """
input: [32, 32, 3]
classes: 10
stages: [{block: basic, width: {choice: [8, 16]}}]
recipe: RECIPE
"""


def space(recipe: str = "{}") -> SearchSpace:
    return SearchSpace.from_text(SPACE.replace("RECIPE", recipe))


def test_at_32_pixels_it_is_five_convolutions_of_doubling_width() -> None:
    network = build_plain_network((32, 32, 3), 10, 16)
    widths = [(3, 16), (16, 32), (32, 32), (32, 64), (64, 64)]
    sides = [32, 16, 16, 8, 8]
    convolutions = [9 * a * b for a, b in widths]
    macs = sum(c * side**2 for c, side in zip(convolutions, sides, strict=True)) + 64 * 10
    params = sum(convolutions) + 2 * sum(b for _, b in widths) + 64 * 10 + 10
    assert (count(network).params, count(network).macs) == (params, macs)


@pytest.mark.parametrize("side", [16, 28, 32, 64, 96, 128, 224, 300])
def test_its_last_map_has_about_eight_pixels_a_side(side: int) -> None:
    network = build_plain_network((side, side, 3), 10)
    shrinks = len(network.stages) + (2 if len(network.stem) > 1 else 0)
    assert LAST_SIDE / 2 < side / 2**shrinks < 2 * LAST_SIDE


@pytest.mark.parametrize("side", [1, 2, 5, 8])
def test_small_images_have_one_stage(side: int) -> None:
    assert len(build_plain_network((side, side, 1), 2).stages) == 1


@pytest.mark.parametrize("name", list_spaces())
def test_every_shipped_space_has_one_for_its_images(name: str) -> None:
    found = make_baseline(SearchSpace.load(name).adapt(classes=7, channels=1), Budget())
    assert found is not None
    assert (found.architecture.classes, found.architecture.input[2]) == (7, 1)


@pytest.mark.parametrize(
    "budget",
    [Budget(max_macs=20_000_000), Budget(max_params=50_000), Budget(100_000, 5_000_000)],
)
def test_it_uses_the_budget_and_keeps_it(budget: Budget) -> None:
    found = make_baseline(space(), budget)
    assert found is not None
    cost = count(found.architecture)
    assert budget.allows(cost)
    wider = build_plain_network((32, 32, 3), 10, found.architecture.stem[0].filters + 2)  # type: ignore[union-attr]
    assert not budget.allows(count(wider))


def test_a_budget_below_the_narrowest_has_none() -> None:
    assert make_baseline(space(), Budget(max_params=100)) is None


def test_its_recipe_is_the_spaces_with_defaults_where_it_varies() -> None:
    text = (
        "{learning_rate: {log: [1e-3, 1e-1]}, weight_decay: {log: [1e-2, 1e-1]}, epochs: 4, "
        "batch_size: {choice: [32, 64]}, optimizer: {choice: [sgd, adamw]}, ema: 0.9}"
    )
    found = make_baseline(space(text), Budget())
    assert found is not None
    recipe = found.recipe
    assert (recipe.learning_rate, recipe.weight_decay) == (3e-3, 1e-2)
    assert (recipe.epochs, recipe.batch_size, recipe.optimizer) == (4, 64, "adamw")
    assert recipe.ema == 0.9
