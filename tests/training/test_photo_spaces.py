"""The spaces for photographs: the smallest candidate of each is built and trained for a step."""

import math

import pytest

from cnnsearch.architecture.cost import count
from cnnsearch.data import Dataset
from cnnsearch.data.views import take_few
from cnnsearch.space.files import list_spaces
from cnnsearch.space.search_space import SearchSpace
from tests.training.train import train

SPACES = [name for name in list_spaces() if "photos" in name]


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_a_candidate_is_trained_for_a_step(name: str, digits: Dataset) -> None:
    few = take_few(digits, 4, 4)
    space = SearchSpace.load(name).adapt(classes=few.classes, channels=few.channels)
    candidate = space.decode_first()
    recipe = candidate.recipe.change(["batch_size=4", "epochs=1"])
    found = train(candidate.architecture, recipe, few, epochs=1)
    assert found.steps == 1 and math.isfinite(found.loss)
    assert found.params_trained == count(candidate.architecture).params
