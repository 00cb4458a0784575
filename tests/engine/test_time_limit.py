"""Candidates that would train for too long are not proposed."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnsearch.architecture.cost import Budget
from cnnsearch.engine.candidate_sample import CandidateSample
from cnnsearch.engine.search_oracle import make_oracle
from cnnsearch.engine.settings import Settings
from cnnsearch.engine.time_limit import (
    CLEARLY,
    FEWEST_TO_REJECT,
    ShareLimit,
    TimeCheck,
    TimeLimit,
    make_time_limit,
)
from cnnsearch.engine.training_time import TimePredictor
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import BASELINE
from cnnsearch.space.search_space import SearchSpace
from tests.engine.test_training_time import (
    EPOCHS,
    TRAIN,
    VALIDATION,
    draw_trials,
    record_trial,
    spend,
)

SPACE = SearchSpace.load("mixed")
CHECK = FeasibilityCheck(SPACE, Budget())
RATES = [1e-10] * 5
SAMPLE = CandidateSample(SPACE, Budget())


def draw_points() -> list[Mapping[str, Any]]:
    rng = random.Random(5)
    return [p for p in (SPACE.sample(rng) for _ in range(40)) if CHECK(p).is_feasible]


POINTS = draw_points()
CANDIDATES = [SPACE.decode(point) for point in POINTS]
SECONDS = sorted(spend(each.architecture, RATES) for each in CANDIDATES)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    run = RunDirectory.create(tmp_path, "r", {}, SPACE.text)
    yield run
    run.close()


def make_predictor(run: RunDirectory) -> TimePredictor:
    data: Any = SimpleNamespace(
        train=SimpleNamespace(count=TRAIN), validation=SimpleNamespace(count=VALIDATION)
    )
    return TimePredictor(run.db, data)


def train(run: RunDirectory, number: int) -> None:
    """Records some candidates that took what ``spend`` says."""
    for each, trial in enumerate(draw_trials(number, 1, RATES), start=1):
        record_trial(run, each, trial)


def test_a_candidate_that_clearly_takes_too_long_is_rejected(run: RunDirectory) -> None:
    predictor, limit = make_predictor(run), SECONDS[20]
    limited = TimeCheck(CHECK, SPACE, TimeLimit(predictor, EPOCHS, limit))
    for number, trial in enumerate(draw_trials(FEWEST_TO_REJECT, 1, RATES), start=1):
        assert all(limited(point).is_feasible for point in POINTS), "too early"
        record_trial(run, number, trial)
    for point in POINTS:
        seconds = predictor.predict(SPACE.decode(point), EPOCHS) or 0.0
        found = limited(point)
        assert found.is_feasible == (seconds <= CLEARLY * limit)
        assert found.reason == (None if found.is_feasible else "time")
    assert 0 < sum(limited(point).is_feasible for point in POINTS) < len(POINTS)


def test_candidates_timed_ahead_are_enough_to_reject_the_first(run: RunDirectory) -> None:
    rows = [
        {
            "architecture": trial.architecture, "recipe": trial.recipe, "epochs": EPOCHS,
            "seconds": trial.seconds,
        }
        for trial in draw_trials(3, 1, RATES)
    ]  # fmt: skip
    limit = TimeLimit(make_predictor(run), EPOCHS, SECONDS[5])
    limited = TimeCheck(CHECK, SPACE, limit)
    assert all(limited(point).is_feasible for point in POINTS)
    run.db.append("measured_times", {"rows": rows})
    assert 0 < sum(limited(point).is_feasible for point in POINTS) < len(POINTS)


def test_a_share_of_the_time_leaves_a_quarter_of_the_space(run: RunDirectory) -> None:
    predictor = make_predictor(run)
    train(run, 12)
    allowed = {}
    for limit in (1e-3, SECONDS[20], 1e9):
        check = ShareLimit(predictor, EPOCHS, limit, SAMPLE)
        allowed[limit] = sum(map(check.allows, CANDIDATES)) / len(CANDIDATES)
    strict = TimeLimit(predictor, EPOCHS, 1e-3)
    assert not any(map(strict.allows, CANDIDATES))
    assert 0.2 < allowed[1e-3] < 0.6
    assert allowed[1e-3] < allowed[SECONDS[20]] < allowed[1e9] == 1.0


def test_what_trains_no_longer_than_the_baseline_is_allowed(run: RunDirectory) -> None:
    predictor = make_predictor(run)
    slow = draw_trials(6, 1, RATES)
    baseline = max(slow, key=lambda trial: trial.seconds)
    for number, trial in enumerate(slow, start=1):
        record_trial(run, number, trial, BASELINE if trial is baseline else "")
    check = ShareLimit(predictor, EPOCHS, 1e-3, SAMPLE)
    assert check.find_seconds() == baseline.seconds
    quick = [c for c in CANDIDATES if (predictor.predict(c, EPOCHS) or 0.0) <= baseline.seconds]
    assert quick and all(map(check.allows, quick))


@pytest.mark.parametrize(
    ("given", "kind", "seconds"),
    [
        ({"max_time": "10m"}, ShareLimit, 60.0),
        ({"max_time": "10m", "strategy": "evolution"}, ShareLimit, 60.0),
        ({"max_time": "10m", "strategy": "random"}, None, None),
        ({"max_time": "10m", "strategy": "asha"}, None, None),
        ({"max_time": "10m", "max_train_time": "5m"}, TimeLimit, 300.0),
        ({"max_train_time": "5m", "strategy": "random"}, TimeLimit, 300.0),
        ({"trials": 20}, None, None),
    ],
)
def test_strategies_that_scores_guide_leave_out_what_takes_a_tenth_of_the_time(
    run: RunDirectory, given: dict[str, Any], kind: type[TimeLimit] | None, seconds: float | None
) -> None:
    settings = Settings.create(SPACE.text, "mixed", **{"strategy": "surrogate", **given})
    limit = make_time_limit(settings, make_predictor(run), EPOCHS, SAMPLE)
    assert (type(limit) if limit else None) is kind
    assert limit is None or limit.seconds == pytest.approx(seconds)


def test_a_search_within_a_time_proposes_fast_candidates(tmp_path: Path) -> None:
    def propose(**given: Any) -> list[float]:
        run = RunDirectory.create(tmp_path, "-".join(given), {}, SPACE.text)
        train(run, 12)
        settings = Settings.create(
            SPACE.text, "mixed", strategy="evolution", epochs=EPOCHS, first="none", **given
        )
        predictor, seconds = make_predictor(run), list[float]()
        limit = make_time_limit(settings, predictor, EPOCHS, SAMPLE)
        oracle = make_oracle(settings, SPACE, run.db, limit)
        for number in range(20):
            proposal = oracle.propose(f"slot-{number}")
            assert isinstance(proposal, Proposal)
            found = predictor.predict(SPACE.decode(proposal.values), EPOCHS)
            seconds.append(found or 0.0)
        run.close()
        return seconds

    assert max(propose(max_time=60.0)) < 0.8 * max(propose(trials=20))
