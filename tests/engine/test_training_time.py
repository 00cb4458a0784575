"""Predicted training times, against times made from coefficients that the model does not know."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.architecture.work import count_work
from cnnsearch.blocks.ops import Style
from cnnsearch.engine.training_time import (
    TimePredictor,
    TrainingTime,
    estimate_final_training,
)
from cnnsearch.errors import ArchitectureError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import read_candidate
from cnnsearch.space.backbone import Backbone
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.search_space import SearchSpace

TRAIN, VALIDATION, EPOCHS, BATCH = 3840, 1280, 10, 64


def network(block: dict[str, Any], width: int = 8) -> Architecture:
    stage = {"block": block, "width": width, "depth": 2}
    return Architecture.from_data({"input": [8, 8, 3], "classes": 4, "stages": [stage]})


def test_work_is_the_cost_by_kind() -> None:
    plain = network({"type": "plain", "kernel": 3})
    spatial, pointwise, grouped, values, smooth, layers = count_work(plain)
    assert spatial == 8 * 8 * 9 * (3 * 8 + 8 * 8)
    assert (pointwise, grouped) == (8 * 4, 0)  # the classifier
    assert values == 2 * 8 * 8 * 8 + 8 + 4
    assert layers == 4 and smooth == 0
    separable = count_work(network({"type": "separable"}))
    assert separable.spatial == 0 and separable.grouped == 8 * 8 * 9 * (3 + 8)
    grouped_plain = network({"type": "basic", "kernel": 3})
    macs = count(grouped_plain).macs
    assert sum(count_work(grouped_plain)[:3]) == macs


@pytest.mark.parametrize("block", ["plain", "preact_basic", "separable", "inverted_residual"])
def test_smooth_activations_are_counted_wherever_they_stand(block: str) -> None:
    """Every other number is the same, and each value of a ReLU is one of swish."""
    relu, swish = (
        count_work(network({"type": block}).model_copy(update={"style": Style(activation=kind)}))
        for kind in ("relu", "swish")
    )
    assert relu.smooth == 0 < swish.smooth and swish._replace(smooth=0) == relu
    by_hand = {"plain": 2 * 8 * 8 * 8, "preact_basic": 8 * 8 * (3 + 4 * 8)}
    assert swish.smooth == by_hand.get(block, swish.smooth)


def spend(architecture: Architecture, rates: list[float]) -> float:
    """Seconds of a machine whose rates are far from the model's prior."""
    *work, layers = count_work(architecture)
    images = EPOCHS * (TRAIN + VALIDATION / 3)
    steps = EPOCHS * (TRAIN // BATCH)
    return (
        3.0 + 0.05 * layers + layers * steps * 2e-4
        + images * sum(rate * each for rate, each in zip(rates, work, strict=True))
    )  # fmt: skip


def draw_trials(number: int, seed: int, rates: list[float]) -> list[Any]:
    space, rng, found = SearchSpace.load("mixed"), random.Random(seed), list[Any]()
    while len(found) < number:
        architecture = space.decode(space.sample(rng)).architecture
        try:
            seconds = spend(architecture, rates) * rng.uniform(0.95, 1.05)
        except ArchitectureError:
            continue
        found.append(
            SimpleNamespace(
                id=f"{len(found):04}",
                status="completed",
                seconds=seconds,
                epochs=EPOCHS,
                initial_epoch=0,
                metrics={},
                recipe={"batch_size": BATCH},
                backbone=None,
                architecture=architecture.to_data(),
            )
        )
    return found


@pytest.mark.parametrize(("trained", "error"), [(2, 0.5), (6, 0.3), (12, 0.1)])
def test_later_candidates_are_predicted_from_earlier_ones(trained: int, error: float) -> None:
    machines = [2e-11, 4e-10, 4e-10, 3e-9, 4e-9], [3e-10, 3e-10, 3e-9, 4e-10, 1e-10]
    for seed, rates in enumerate(machines):
        trials = draw_trials(24, seed, rates)
        model = TrainingTime.fit(trials[:trained], TRAIN, VALIDATION)
        assert model is not None
        errors = []
        for trial in trials[trained:]:
            found = model.predict(read_candidate(trial, ""), EPOCHS, TRAIN, VALIDATION)
            errors.append(abs((found or 0.0) / trial.seconds - 1))
        assert sorted(errors)[len(errors) // 2] < error


def test_a_frozen_backbone_takes_a_forward_pass_and_its_head() -> None:
    model = TrainingTime((0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0))
    body = network({"type": "basic", "kernel": 3})
    whole = TRAIN + VALIDATION / 3

    def predict(recipe: dict[str, Any], has_backbone: bool = True) -> float:
        backbone = Backbone("x") if has_backbone else None
        candidate = Candidate(body, TrainingRecipe.from_data(recipe), backbone)
        found = model.predict(candidate, EPOCHS, TRAIN, VALIDATION)
        assert found is not None
        return found / count(body).macs

    assert predict({}) == pytest.approx(EPOCHS * whole)
    assert predict({"trainable": "head"}, has_backbone=False) == pytest.approx(EPOCHS * whole)
    moved = {"trainable": "head"}
    assert predict(moved) == pytest.approx(EPOCHS * (TRAIN + VALIDATION) / 3)
    cached = {**moved, "shift": 0.0}
    once = (2 * TRAIN + VALIDATION) / 3
    assert predict(cached) == pytest.approx(once)
    thawed = {**cached, "unfreeze_after": 0.7}
    assert predict(thawed) == pytest.approx(once + 3 * whole)


def test_one_candidate_tells_roughly_what_others_take() -> None:
    """Their ratios are those of usual CPUs; seconds of a machine three times as fast."""
    first, *others = draw_trials(12, 3, [rate / 3 for rate in (7e-11, 1e-10, 7e-10, 1e-9, 1.2e-9)])
    model = TrainingTime.fit([first], TRAIN, VALIDATION)
    assert model is not None
    errors = []
    for trial in others:
        found = model.predict(read_candidate(trial, ""), EPOCHS, TRAIN, VALIDATION)
        errors.append(abs((found or 0.0) / trial.seconds - 1))
    assert sorted(errors)[len(errors) // 2] < 0.5


def test_without_a_candidate_nothing_is_known() -> None:
    failed = SimpleNamespace(status="failed", seconds=3.0)
    assert TrainingTime.fit([failed], TRAIN, VALIDATION) is None  # type: ignore[list-item]


def test_each_trial_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunDirectory.create(tmp_path, "r", {}, "")
    data: Any = SimpleNamespace(
        train=SimpleNamespace(count=TRAIN), validation=SimpleNamespace(count=VALIDATION)
    )
    predictor, counted = TimePredictor(run.db, data), list[Any]()
    candidate = SearchSpace.load("mixed").decode_first()
    monkeypatch.setattr(
        "cnnsearch.space.candidate.count_work",
        lambda network: (counted.append(network), count_work(network))[1],
    )
    trials = draw_trials(6, 1, [1e-10] * 5)
    for number, trial in enumerate(trials, start=1):
        record_trial(run, number, trial)
        predictor.predict(candidate, EPOCHS)
    assert predictor.trained == 6
    assert len(counted) == len(trials) + 1, "and the candidate that is predicted each time"
    again = TimePredictor(run.db, data)
    assert again.predict(candidate, EPOCHS) == predictor.predict(candidate, EPOCHS)
    run.close()


def test_the_latest_trials_and_the_baseline_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a long search, resumed or not, only so many trials are fitted."""
    monkeypatch.setattr("cnnsearch.engine.training_time.LATEST", 4)
    run = RunDirectory.create(tmp_path, "r", {}, "")
    data: Any = SimpleNamespace(
        train=SimpleNamespace(count=TRAIN), validation=SimpleNamespace(count=VALIDATION)
    )
    predictor, candidate = TimePredictor(run.db, data), SearchSpace.load("mixed").decode_first()
    slow, fast = draw_trials(3, 1, [1e-9] * 5), draw_trials(4, 2, [1e-10] * 5)
    for number, trial in enumerate([*slow, *fast], start=1):
        trial.id = f"{number:04d}"
        record_trial(run, number, trial, "baseline" if number == 1 else "")
        predictor.predict(candidate, EPOCHS)
    expected = TrainingTime.fit(fast, TRAIN, VALIDATION)
    assert expected is not None
    counted = list[Any]()
    monkeypatch.setattr(
        "cnnsearch.space.candidate.count_work",
        lambda network: (counted.append(network), count_work(network))[1],
    )
    for each in (predictor, TimePredictor(run.db, data)):
        seconds = each.predict(candidate, EPOCHS)
        assert seconds == pytest.approx(expected.predict(candidate, EPOCHS, TRAIN, VALIDATION))
        assert (each.trained, each.baseline) == (7, slow[0].seconds)
    assert len(counted) == 4, "of the resumed search; the proposed candidate was counted before"
    run.close()


def record_trial(run: RunDirectory, number: int, trial: Any, role: str = "") -> None:
    start = {
        "number": number, "values": {}, "architecture": trial.architecture, "epochs": EPOCHS,
        "recipe": trial.recipe, "fingerprint": "", "family": "x", "role": role,
    }  # fmt: skip
    run.db.append("trial_started", start, trial.id)
    end = {"status": "completed", "score": 0.5, "metrics": {}, "seconds": trial.seconds}
    run.db.append("trial_ended", end, trial.id)


def test_a_final_training_takes_five_times_the_epochs_on_both_splits() -> None:
    trial: Any = SimpleNamespace(epochs=10, initial_epoch=0, seconds=30.0)
    assert estimate_final_training(trial, 900, 0) == pytest.approx(150)
    # a validation image costs a third of a training image, and then as much
    assert estimate_final_training(trial, 900, 300) == pytest.approx(150 * 1200 / 1000)
    promoted: Any = SimpleNamespace(epochs=10, initial_epoch=4, seconds=30.0)
    assert estimate_final_training(promoted, 900, 0) == pytest.approx(250)
    unknown: Any = SimpleNamespace(epochs=10, initial_epoch=0, seconds=None)
    assert estimate_final_training(unknown, 900, 0) is None
