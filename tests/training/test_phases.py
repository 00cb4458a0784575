"""Which weights move when: heads, normalization, and everything after a while."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.errors import ArchitectureError, SpaceError
from cnnsearch.space.recipe import Resizing, TrainingRecipe
from cnnsearch.training import checkpoint
from cnnsearch.training.messages import Measurement, TrialTask
from cnnsearch.training.phases import Phase, plan_phases
from cnnsearch.training.trainer import Training
from tests.conftest import architecture
from tests.training.train import train


def recipe(**changes: Any) -> TrainingRecipe:
    return TrainingRecipe(learning_rate=0.02, batch_size=64, **changes)


def weights(folder: Path, file: str = checkpoint.BEST) -> dict[str, Any]:
    saved = checkpoint.read(folder / file)
    assert saved is not None
    return dict(zip(saved.header["paths"], saved.arrays, strict=True))


def test_all_weights_train_in_one_phase_by_default() -> None:
    assert plan_phases(recipe(), False, 10) == (Phase("all", 1.0, 1, 10, 10),)
    assert plan_phases(recipe(), True, 10) == (Phase("head", 1.0, 1, 10, 10),)
    assert plan_phases(recipe(unfreeze_after=0.5), False, 10) == (Phase("all", 1.0, 1, 10, 10),)


def test_the_rest_follows_after_its_share_of_epochs() -> None:
    found = plan_phases(recipe(trainable="head", unfreeze_after=0.3, unfreeze_rate=0.2), False, 10)
    assert found == (Phase("head", 1.0, 1, 3, 3), Phase("all", 0.2, 4, 10, 10))
    assert [p.last for p in plan_phases(recipe(unfreeze_after=0.01), True, 3)] == [1, 3]
    assert [p.last for p in plan_phases(recipe(unfreeze_after=0.99), True, 3)] == [2, 3]
    assert len(plan_phases(recipe(unfreeze_after=0.5), True, 1)) == 1


def start(small: Architecture, digits: Dataset, folder: Path) -> dict[str, Any]:
    """The weights before training, by the same seed."""
    training = Training(TrialTask("t", small, recipe(), digits, folder, 1, seed=3))
    return {v.path: np.asarray(v) for v in training.model.weights}


def test_norms_and_head_alone_move_and_learn(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    before = start(small, digits, tmp_path / "before")
    found = train(
        small, recipe(trainable="norms"), digits, epochs=6, seed=3, checkpoint_dir=tmp_path
    )
    after = weights(tmp_path)
    moved = {path for path, value in after.items() if not np.array_equal(value, before[path])}
    kinds = ("gamma", "beta", "moving_mean", "moving_variance")
    expected = {path for path in after if path.endswith(kinds) or path.startswith("head")}
    assert moved == expected
    trained = [p for p in expected if "moving" not in p]
    assert found.params_trained == sum(after[path].size for path in trained)
    assert found.val_accuracy is not None
    assert found.val_accuracy > 0.3  # ten classes, random kernels: gamma and beta do that


def test_the_head_first_and_then_everything(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    before, rates, states = start(small, digits, tmp_path / "before"), [], []

    def look(epoch: int, metrics: dict[str, float]) -> None:
        rates.append(metrics["learning_rate"])
        saved = checkpoint.read(tmp_path / checkpoint.STATE)
        assert saved is not None
        states.append(saved.arrays[0])

    asked = recipe(trainable="head", unfreeze_after=0.5, schedule="constant", warmup=0.0)
    train(small, asked, digits, epochs=4, seed=3, checkpoint_dir=tmp_path, on_epoch=look)
    assert rates == pytest.approx([0.02, 0.02, 0.002, 0.002])
    first = next(iter(before.values()))
    stem = [np.array_equal(state, first) for state in states]
    assert stem == [True, True, False, False]


def numbers(found: Measurement) -> dict[str, float]:
    return {k: v for k, v in found.metrics.items() if k not in ("seconds", "peak_memory_mb")}


@pytest.mark.parametrize(
    "phases", [{"trainable": "norms", "unfreeze_after": 0.5}, {"quantize_aware": 0.5}], ids=str
)
@pytest.mark.parametrize(
    "after", [2, *(pytest.param(n, marks=pytest.mark.programs) for n in (1, 3))]
)
def test_interrupted_before_at_and_after_the_border_ends_as_if_whole(
    digits: Dataset, small: Architecture, tmp_path: Path, after: int, phases: Any
) -> None:
    asked = recipe(**phases, ema=0.9)
    whole = train(small, asked, digits, epochs=4, seed=3, checkpoint_dir=tmp_path / "w")

    def stop(epoch: int, metrics: dict[str, float]) -> None:
        if epoch == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small, asked, digits, epochs=4, seed=3, checkpoint_dir=tmp_path / "p", on_epoch=stop)
    found = train(small, asked, digits, epochs=4, seed=3, checkpoint_dir=tmp_path / "p")
    assert numbers(found) == numbers(whole)


def test_a_longer_training_keeps_moving_what_moves() -> None:
    asked = recipe(trainable="head", unfreeze_after=0.5)
    assert [p.last for p in plan_phases(asked, False, 6)] == [3, 6]
    assert [p.last for p in plan_phases(asked, False, 6, unfrozen=2)] == [1, 6]


@pytest.mark.slow
def test_a_promotion_continues_across_phases(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    asked = recipe(trainable="head", unfreeze_after=0.5, batch_norm_momentum=0.5)
    asked = asked.model_copy(update={"batch_size": 256})
    train(small, asked, digits, epochs=2, checkpoint_dir=tmp_path / "a")  # epoch 2 moves all

    def longer(folder: str, epochs: int) -> Measurement:
        return train(
            small, asked, digits, epochs=epochs, initial_epoch=2,
            checkpoint_dir=tmp_path / folder, continues=tmp_path / "a",
        )  # fmt: skip

    found = longer("b", 6)
    assert (found.epochs, found.initial_epoch) == (6, 2)
    state = checkpoint.read(tmp_path / "b" / checkpoint.STATE)
    assert state is not None and state.header["begun"] == 2
    assert numbers(longer("b", 6)) == numbers(found)  # from its own state, of the same phases


def test_no_norms_to_train_is_one_line(digits: Dataset) -> None:
    bare = architecture(style={"norm": "none"})
    with pytest.raises(ArchitectureError, match="no normalization"):
        train(bare, recipe(trainable="norms"), digits, epochs=1)


def test_images_grow_without_a_new_schedule() -> None:
    found = plan_phases(recipe(resizing=Resizing(start=0.5, until=0.6)), False, 10)
    assert found == (Phase("all", 1.0, 1, 6, 10, 0.5), Phase("all", 1.0, 1, 10, 10, 1.0))
    assert [phase.epochs for phase in found] == [10, 10]


def test_images_grow_beside_what_is_unfrozen() -> None:
    asked = recipe(resizing=Resizing(until=0.6), trainable="head", unfreeze_after=0.3)
    found = [(p.trainable, p.first, p.last, p.ends, p.scale) for p in plan_phases(asked, False, 10)]
    assert found == [("head", 1, 3, 3, 0.5), ("all", 4, 6, 10, 0.5), ("all", 4, 10, 10, 1.0)]


@pytest.mark.parametrize("after", [1, pytest.param(2, marks=pytest.mark.programs)])
def test_a_training_whose_images_grow_is_gone_on_with_too(
    digits: Dataset, tmp_path: Path, after: int
) -> None:
    network = architecture(input=[16, 16, 1])
    asked = recipe(resizing=Resizing(start=0.5, until=0.5), ema=0.9)
    whole = train(network, asked, digits, epochs=4, seed=3, checkpoint_dir=tmp_path / "w")

    def stop(epoch: int, metrics: dict[str, float]) -> None:
        if epoch == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            network, asked, digits, epochs=4, seed=3, checkpoint_dir=tmp_path / "p", on_epoch=stop
        )
    found = train(network, asked, digits, epochs=4, seed=3, checkpoint_dir=tmp_path / "p")
    assert numbers(found) == numbers(whole)
    assert whole.val_accuracy is not None
    assert whole.val_accuracy > 0.5


def test_a_network_with_a_fixed_image_size_is_reported(digits: Dataset) -> None:
    network = architecture(input=[16, 16, 1], head={"layers": [{"type": "flatten"}]})
    with pytest.raises(SpaceError, match=r"recipe\.resizing: layer head"):
        train(network, recipe(resizing=Resizing(until=0.5)), digits, epochs=2)
