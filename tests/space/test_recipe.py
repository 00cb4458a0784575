"""Changes of a recipe, as flags give them."""

import pytest

from cnnsearch.errors import CnnsearchError
from cnnsearch.space.recipe import TrainingRecipe


def test_changes_of_the_recipe_are_yaml() -> None:
    changes = ["ema=0.99", "schedule=one_cycle", "randaugment={layers: 1, magnitude: 3}"]
    found = TrainingRecipe().change(changes)
    assert (found.ema, found.schedule) == (0.99, "one_cycle")
    assert found.randaugment is not None
    assert found.randaugment.magnitude == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("ema", "--set: expected key=value"),
        ("emma=0.9", "recipe.emma"),
        ("ema=2", "recipe.ema"),
        ("mixup=lots", "recipe.mixup"),
    ],
)
def test_a_change_that_is_none_is_one_line(change: str, message: str) -> None:
    with pytest.raises(CnnsearchError, match=message) as caught:
        TrainingRecipe().change([change])
    assert "\n" not in str(caught.value)
