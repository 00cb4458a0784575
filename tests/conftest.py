"""What several tests need: digits at 8x8, and networks small enough to train in a second."""

from pathlib import Path
from typing import Any

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset, load
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.messages import TrialTask

LONGEST = (
    "test_contract",
    "test_contract_state",
    "test_program",
    "test_weight_files",
    "test_kills",
    "test_finetuning",
    "test_prediction",
    "test_recipes",
    "test_version_0_1",
    "test_published",
    "test_train",
    "test_sources",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts the longest files first: none is left for one of two workers at the end."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load("digits", image=(8, 8), channels=None, cache=tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def small() -> Architecture:
    return architecture()


def architecture(**changes: Any) -> Architecture:
    data: dict[str, Any] = {
        "input": [8, 8, 1],
        "classes": 10,
        "stem": [{"type": "conv", "filters": 16}],
        "stages": [{"block": "basic", "depth": 1, "width": 32, "stride": 2}],
    }
    return Architecture.from_data({**data, **changes})


@pytest.fixture
def make_task(digits: Dataset, small: Architecture, tmp_path: Path) -> Any:
    def make(trial_id: str = "a", *, epochs: int = 2, **changes: Any) -> TrialTask:
        recipe = TrainingRecipe(**changes.pop("recipe", {}))
        return TrialTask(
            trial_id=trial_id,
            architecture=changes.pop("architecture", small),
            recipe=recipe,
            epochs=epochs,
            seed=5,
            dataset=digits,
            directory=tmp_path / trial_id,
            **changes,
        )

    return make
