"""Changes of a recipe, as flags give them."""

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.candidate import Candidate
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


def test_keys_added_later_change_no_candidate_of_an_earlier_run() -> None:
    stage = {"block": {"type": "plain"}, "depth": 1, "width": 8}
    network = Architecture.from_data({"input": [8, 8, 1], "classes": 10, "stages": [stage]})
    before = Candidate(network, TrainingRecipe())  # the digits are those of the version before
    assert (before.fingerprint, before.data_hash) == ("a5689b9c252878d3", "32c7e9996a1a147f")
    for change in (
        "whitening=true",
        "dirac=true",
        "norm_bias_rate=2",
        "flip=alternate",
        "batch_splits=2",
    ):
        other = Candidate(network, TrainingRecipe().change([change]))
        assert other.fingerprint != before.fingerprint
        assert other.data_hash != before.data_hash
