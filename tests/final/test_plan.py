"""Which networks a final training trains, and by which recipe."""

import pytest

from cnnsearch.cost import count
from cnnsearch.data import Dataset
from cnnsearch.errors import CnnsearchError
from cnnsearch.final.plan import Entrant, fitted, nearest_published, numbered, with_changes
from cnnsearch.recipe import TrainingRecipe
from cnnsearch.space import Candidate, SearchSpace


def resnet(digits: Dataset, name: str) -> Candidate:
    space = SearchSpace.load(name).adapted(classes=10, channels=1, image=(32, 32))
    return fitted(space.first(), digits)


@pytest.mark.parametrize("name", ["resnet-20-cifar", "resnet-56-cifar"])
def test_the_published_network_nearest_to_one_is_itself(digits: Dataset, name: str) -> None:
    network = resnet(digits, name).architecture
    _, nearest = nearest_published(network, digits)
    assert count(nearest).macs == pytest.approx(count(network).macs, rel=0.02)
    assert nearest.classes == 10


def test_it_reads_images_of_the_winners_size(digits: Dataset) -> None:
    _, nearest = nearest_published(resnet(digits, "resnet-32-cifar").architecture, digits)
    assert nearest.input == (32, 32, 1)


def test_changes_of_the_recipe_are_yaml() -> None:
    changes = ["ema=0.99", "schedule=one_cycle", "randaugment={layers: 1, magnitude: 3}"]
    found = with_changes(TrainingRecipe(), changes, 7)
    assert (found.ema, found.schedule, found.epochs) == (0.99, "one_cycle", 7)
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
        with_changes(TrainingRecipe(), [change], 1)
    assert "\n" not in str(caught.value)


def test_an_entrant_survives_json(digits: Dataset) -> None:
    entrant = Entrant("winner", "r:1", resnet(digits, "resnet-20-cifar"))
    assert Entrant.from_data(entrant.to_data()) == entrant


def test_every_network_has_its_first_seed_before_any_its_second(digits: Dataset) -> None:
    entrant = Entrant("winner", "r:1", resnet(digits, "resnet-20-cifar"))
    plan = numbered([entrant, entrant], 2)
    assert plan == [("0001", 0, 0), ("0002", 1, 0), ("0003", 0, 1), ("0004", 1, 1)]
