"""Training: it learns, measures exactly, is reproducible, and goes on as if never interrupted."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.data.views import join_validation
from cnnsearch.errors import RunError
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training import checkpoint
from cnnsearch.training.batches import TrainingBatches
from cnnsearch.training.keras_fit import choose_batch_norm_momentum, compile_model
from cnnsearch.training.losses import SmoothedCrossEntropy, cross_entropy
from cnnsearch.training.messages import CandidateFailure, Measurement
from cnnsearch.training.model import build
from tests.training.train import train

CLOCK = ("seconds", "peak_memory_mb")


def numbers(measurement: Measurement) -> dict[str, float]:
    return {name: v for name, v in measurement.metrics.items() if name not in CLOCK}


def logits(architecture: Architecture, data: Dataset, folder: Path) -> Any:
    """What the network that would be exported says of the validation images."""
    model = build(architecture, mean=data.mean, std=data.std)
    checkpoint.load_weights(model, folder)
    return np.asarray(model(np.asarray(data.validation.images()), training=False))


class Interrupted(Exception):
    pass


def interrupted(after: int) -> Any:
    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        if epoch == after:
            raise Interrupted

    return on_epoch


def test_streamed_images_train_to_the_very_numbers_of_mapped_ones(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    recipe, streamed = TrainingRecipe(batch_size=64), digits.fit_memory(1000)
    assert streamed.train.streamed and not digits.train.streamed
    found = [
        numbers(train(small, recipe, data, epochs=2, seed=5, checkpoint_dir=tmp_path / name))
        for name, data in (("mapped", digits), ("streamed", streamed))
    ]
    assert found[0] == found[1]
    saved = [checkpoint.read(tmp_path / name / checkpoint.BEST) for name in ("mapped", "streamed")]
    assert saved[0] and saved[1] and saved[0].arrays
    for one, other in zip(saved[0].arrays, saved[1].arrays, strict=True):
        np.testing.assert_array_equal(one, other)


def test_digits_are_learnt_in_a_few_epochs_and_measured_exactly(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    told: dict[int, dict[str, float]] = {}
    recipe = TrainingRecipe(learning_rate=0.01, label_smoothing=0.1, batch_size=32)
    found = train(
        small,
        recipe,
        digits,
        epochs=6,
        seed=1,
        checkpoint_dir=tmp_path,
        on_epoch=told.__setitem__,
    )
    assert found.val_accuracy > 0.9
    assert list(told) == [1, 2, 3, 4, 5, 6]
    best = told[found.best_epoch]
    assert found.val_accuracy == max(m["val_accuracy"] for m in told.values())
    assert (found.validation["val_loss"], found.loss) == (best["val_loss"], best["loss"])
    assert told[1]["learning_rate"] > told[6]["learning_rate"] >= 0
    assert found.seconds > sum(m["seconds"] for m in told.values()) > 0
    said = logits(small, digits, tmp_path)
    labels = digits.validation.labels()
    assert found.val_accuracy == pytest.approx(np.mean(said.argmax(-1) == labels), abs=1e-9)
    own = keras.losses.sparse_categorical_crossentropy(labels, said, from_logits=True)
    assert found.validation["val_loss"] == pytest.approx(float(np.mean(own)), rel=1e-4)


def test_the_seed_determines_every_number(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    found = [
        train(small, TrainingRecipe(), digits, epochs=1, seed=seed, checkpoint_dir=tmp_path / name)
        for seed, name in ((3, "a"), (3, "b"), (4, "c"))
    ]
    assert numbers(found[0]) == numbers(found[1])
    assert numbers(found[0]) != numbers(found[2])
    weights = [checkpoint.read(tmp_path / name / checkpoint.BEST) for name in "ab"]
    assert weights[0] is not None and weights[1] is not None
    for one, other in zip(weights[0].arrays, weights[1].arrays, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_interrupted_training_ends_as_it_would_have(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    head = small.head.model_copy(update={"dropout": 0.3})
    network = small.model_copy(update={"head": head, "drop_path": 0.2})
    recipe = TrainingRecipe(ema=0.95, flip=True, optimizer="sgd", learning_rate=0.1)
    whole = train(network, recipe, digits, epochs=4, seed=2, checkpoint_dir=tmp_path / "whole")
    part = tmp_path / "part"
    with pytest.raises(Interrupted):
        train(
            network,
            recipe,
            digits,
            epochs=4,
            seed=2,
            checkpoint_dir=part,
            on_epoch=interrupted(after=2),
        )
    state = checkpoint.read(part / checkpoint.STATE)
    assert state is not None and state.header["best_epoch"] == 2
    (part / checkpoint.BEST).unlink()  # as if killed between the two files
    told: list[int] = []
    resumed = train(
        network,
        recipe,
        digits,
        epochs=4,
        seed=2,
        checkpoint_dir=part,
        on_epoch=lambda epoch, metrics: told.append(epoch),
    )
    assert told == [1, 2, 3, 4]
    assert numbers(resumed) == numbers(whole)
    np.testing.assert_array_equal(
        logits(network, digits, part), logits(network, digits, tmp_path / "whole")
    )


def test_a_finished_training_is_not_repeated(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    first = train(small, TrainingRecipe(), digits, epochs=1, checkpoint_dir=tmp_path)
    before = (tmp_path / checkpoint.STATE).stat().st_mtime_ns
    again = train(small, TrainingRecipe(), digits, epochs=1, checkpoint_dir=tmp_path)
    assert numbers(first) == numbers(again)
    assert (tmp_path / checkpoint.STATE).stat().st_mtime_ns == before


def test_a_promotion_continues_the_earlier_trial(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    def promoted(epochs: int, name: str, **changes: Any) -> Measurement:
        folder = tmp_path / name
        return train(
            small, TrainingRecipe(), digits, epochs=epochs, checkpoint_dir=folder, **changes
        )

    promoted(2, "rung")
    told: list[int] = []
    found = promoted(
        4,
        "next",
        initial_epoch=2,
        continues=tmp_path / "rung",
        on_epoch=lambda epoch, metrics: told.append(epoch),
    )
    assert told == [3, 4]
    assert (found.initial_epoch, found.epochs) == (2, 4)
    state = checkpoint.read(tmp_path / "next" / checkpoint.STATE)
    assert state is not None
    steps = len(TrainingBatches.create(digits, TrainingRecipe(), 0))
    assert 4 * steps in [int(a) for a in state.arrays if a.shape == ()]  # the optimizer's too
    with pytest.raises(RunError, match="trained for 4 epochs already, 4 requested"):
        promoted(4, "third", initial_epoch=2, continues=tmp_path / "next")


def test_patience_ends_a_training_that_gets_no_better(digits: Dataset, small: Architecture) -> None:
    recipe = TrainingRecipe(learning_rate=1e-12, early_stopping=1, batch_norm_momentum=0.5)
    found = train(small, recipe, digits, epochs=30)
    assert found.epochs == found.best_epoch + 1 < 30


def test_a_loss_that_is_no_number_is_the_candidates_failure(
    digits: Dataset, small: Architecture
) -> None:
    style = small.style.model_copy(update={"norm": "none", "activation": "linear"})
    plain = small.model_copy(update={"style": style})
    recipe = TrainingRecipe(optimizer="sgd", learning_rate=100.0, warmup=0.0, batch_size=16)
    with pytest.raises(CandidateFailure, match=r"loss became .* in epoch 1") as raised:
        train(plain, recipe, digits, epochs=2)
    assert raised.value.kind == "nan"


def test_short_trainings_need_a_momentum_tied_to_their_steps(
    digits: Dataset, small: Architecture
) -> None:
    keras_default = TrainingRecipe(learning_rate=0.01, batch_norm_momentum=0.99)
    tied = TrainingRecipe(learning_rate=0.01)
    found = [train(small, r, digits, epochs=3, seed=1).val_accuracy for r in (keras_default, tied)]
    assert found[1] > found[0] + 0.2


@pytest.mark.parametrize(
    ("steps", "epochs", "momentum"),
    [(30, 1, 0.7), (30, 3, 0.9), (30, 100, 0.9), (10_000, 100, 0.99), (1, 1, 0.5)],
)
def test_batch_norm_momentum(steps: int, epochs: int, momentum: float) -> None:
    assert choose_batch_norm_momentum(TrainingRecipe(), steps, epochs) == pytest.approx(momentum)
    chosen = TrainingRecipe(batch_norm_momentum=0.123)
    assert choose_batch_norm_momentum(chosen, steps, epochs) == 0.123


def test_auxiliary_heads_are_trained_and_left_out(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    extra = [{"after": 0, "head": {"layers": [{"type": "global_pool"}]}, "weight": 0.5}]
    data = {**small.to_data(), "auxiliary": extra}
    network = Architecture.from_data(data)
    recipe = TrainingRecipe(learning_rate=0.01)
    found = train(network, recipe, digits, epochs=2, seed=1, checkpoint_dir=tmp_path)
    alone = train(small, recipe, digits, epochs=2, seed=1)
    assert found.loss > 1.2 * alone.loss
    right = logits(network, digits, tmp_path).argmax(-1) == digits.validation.labels()
    assert found.val_accuracy == pytest.approx(np.mean(right), abs=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_keras_own_of_smoothed_labels(smoothing: float) -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(9, 5)).astype("float32") * 5, rng.integers(0, 5, 9)
    expected = keras.losses.categorical_crossentropy(
        np.eye(5)[labels], scores, from_logits=True, label_smoothing=smoothing
    )
    np.testing.assert_allclose(cross_entropy(labels, scores, smoothing), expected, rtol=1e-4)
    loss = SmoothedCrossEntropy(smoothing)
    assert float(loss(labels[:, None], scores)) == pytest.approx(float(np.mean(expected)), rel=1e-4)
    assert SmoothedCrossEntropy.from_config(loss.get_config()).smoothing == smoothing


def test_a_compiled_model_fits(digits: Dataset, small: Architecture) -> None:
    images, labels = np.asarray(digits.train.images()), digits.train.labels()
    keras.utils.set_random_seed(1)
    recipe = TrainingRecipe(learning_rate=0.01, batch_norm_momentum=0.9)
    model = build(small, mean=digits.mean, std=digits.std, batch_norm_momentum=0.9)
    compile_model(model, recipe, steps_per_epoch=34, epochs=3)
    history = model.fit(images, labels, batch_size=32, epochs=3, verbose=0).history
    assert history["accuracy"][-1] > 0.8


def test_with_nothing_held_out_the_last_epochs_weights_are_kept(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    data = join_validation(digits)
    found = train(small, TrainingRecipe(), data, epochs=3, seed=1, checkpoint_dir=tmp_path)
    assert (found.best_epoch, found.epochs, found.val_accuracy) == (3, 3, None)
    assert found.score() == found.accuracy
    state, best = checkpoint.read(tmp_path / checkpoint.STATE), tmp_path / checkpoint.BEST
    assert checkpoint.read_epoch(best) == 3
    saved = checkpoint.read(best)
    assert state is not None
    assert saved is not None
    np.testing.assert_array_equal(saved.arrays[0], state.arrays[0])
