"""Which networks a final training trains, and by which recipe."""

import pytest

from cnnsearch.architecture.cost import count
from cnnsearch.data import Dataset
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.final.entrants import Entrant, find_nearest_published, fit_candidate
from cnnsearch.studies.final.plan import FinalPlan


def resnet(digits: Dataset, name: str) -> Candidate:
    space = SearchSpace.load(name).adapt(classes=10, channels=1, image=(32, 32))
    return fit_candidate(space.decode_first(), digits)


@pytest.mark.parametrize("name", ["resnet-20-cifar", "resnet-56-cifar"])
def test_the_published_network_nearest_to_one_is_itself(digits: Dataset, name: str) -> None:
    network = resnet(digits, name).architecture
    _, nearest = find_nearest_published(network, digits)
    assert count(nearest).macs == pytest.approx(count(network).macs, rel=0.02)
    assert nearest.classes == 10


def test_it_reads_images_of_the_winners_size(digits: Dataset) -> None:
    _, nearest = find_nearest_published(resnet(digits, "resnet-32-cifar").architecture, digits)
    assert nearest.input == (32, 32, 1)


def test_an_entrant_survives_json(digits: Dataset) -> None:
    entrant = Entrant.create("winner", "r:1", resnet(digits, "resnet-20-cifar"))
    assert Entrant.model_validate(entrant.to_data()) == entrant


def test_every_network_has_its_first_seed_before_any_its_second(digits: Dataset) -> None:
    entrant = Entrant.create("winner", "r:1", resnet(digits, "resnet-20-cifar"))
    plan = FinalPlan(source="r:best", seeds=2, epochs=1, entrants=(entrant, entrant))
    assert plan.list_slots() == [("0001", 0, 0), ("0002", 1, 0), ("0003", 0, 1), ("0004", 1, 1)]


def test_everything_but_a_winner_is_called_a_baseline(digits: Dataset) -> None:
    network = resnet(digits, "resnet-20-cifar")
    roles = ("winner", "random", "published")
    titles = [Entrant.create(role, "r:1", network).title for role in roles]  # type: ignore[arg-type]
    assert titles == ["winner", "random baseline", "published baseline"]
