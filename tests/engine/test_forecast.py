"""The forecast after the first candidates."""

import math
import random
import re
from statistics import mean
from typing import Any

import pytest

from cnnsearch.architecture.cost import Budget, count
from cnnsearch.engine.candidate_sample import CandidateSample
from cnnsearch.engine.display.callback import Pace
from cnnsearch.engine.display.lines import Quiet
from cnnsearch.engine.forecast import ForecastCallback, Plan, describe_forecast
from cnnsearch.runs.records import BASELINE
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace
from tests.engine.test_display import trial

SPACE = SearchSpace.load("tiny")
LIMIT = 2_000_000


def plan(**changes: Any) -> Plan:
    sample = CandidateSample(SPACE, changes.pop("budget", Budget(None, LIMIT)))
    facts = {"sample": sample, "epochs": 10, "trials": 20, "deadline": None, "workers": 1}
    return Plan(**{**facts, **changes})


class Predictor:
    """Predicts a second an epoch and million multiply-accumulates, and remembers."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def __call__(self, candidate: Candidate, epochs: int) -> float:
        macs = count(candidate.architecture).macs
        assert macs <= LIMIT
        self.seen.append(epochs * macs / 1e6)
        return self.seen[-1]


def test_the_rest_takes_as_many_means_as_candidates_are_left() -> None:
    predict = Predictor()
    text = describe_forecast(plan(trials=5), predict, done=2, now=0.0)
    seconds = 3 * mean(predict.seen)
    assert re.search(r"; 3 more take about (\d+) s\.", text), text
    assert int(text.split("about ")[-1].split()[0]) == pytest.approx(seconds, abs=1)
    assert f"{min(predict.seen) / 10:.1f} s for the smallest" in text
    assert f"{max(predict.seen) / 10:.1f} s for the largest" in text


def test_the_time_limits_the_candidates() -> None:
    predict = Predictor()
    describe_forecast(plan(), predict, 0, 0.0)
    each = mean(predict.seen)
    text = describe_forecast(plan(deadline=100.0 + 8.5 * each), predict, done=2, now=100.0)
    assert "about 10 of 20 candidates fit into the time" in text
    text = describe_forecast(plan(deadline=8.5 * each, workers=2), predict, done=2, now=0.0)
    assert "about 19 of 20 candidates" in text
    text = describe_forecast(plan(deadline=99 * each), predict, done=2, now=0.0)
    assert "all 20 candidates fit into the time" in text
    text = describe_forecast(plan(deadline=5.5 * each, trials=None), predict, done=2, now=0.0)
    assert "about 7 candidates fit into the time" in text


def test_without_a_prediction_there_is_no_forecast() -> None:
    assert describe_forecast(plan(), lambda candidate, epochs: None, 2, 0.0) == ""
    assert describe_forecast(plan(budget=Budget(1, 1)), Predictor(), 2, 0.0) == ""


def test_a_guided_strategy_is_expected_to_propose_the_largest() -> None:
    """Its forecast is that of the tenth of the random candidates with the most MACs."""
    predict = Predictor()
    seconds = sorted(plan().predict_candidates(predict), reverse=True)
    each = mean(seconds[: math.ceil(len(seconds) / 10)])
    assert each > 1.2 * mean(seconds)
    text = describe_forecast(plan(trials=5, is_guided=True), predict, done=2, now=0.0)
    found = re.search(r"; 3 more take about (\d+) s\.", text)
    assert found and int(found[1]) == pytest.approx(3 * each, abs=1)


def test_candidates_over_the_time_limit_do_not_count() -> None:
    predict = Predictor()
    seconds = sorted(plan().predict_candidates(predict))

    class Limit:
        def allows(self, candidate: Candidate) -> bool:
            return 10 * count(candidate.architecture).macs / 1e6 <= seconds[9]

    limit: Any = Limit()
    text = describe_forecast(plan(trials=5, limit=limit), predict, done=2, now=0.0)
    assert f"{seconds[9] / 10:.1f} s for the largest" in text
    assert seconds[9] < seconds[-1]


class Callback:
    def __init__(self) -> None:
        self.events: list[str] = []

    def on_trial_end(self, trial: Any) -> None:
        self.events.append(trial.id)

    def on_message(self, text: str) -> None:
        self.events.append(text[:9])

    def on_tick(self) -> None:
        self.events.append("tick")


def test_it_comes_once_after_the_second_completed_trial() -> None:
    inner: Any = Callback()
    passing = ForecastCallback(inner, plan(), Predictor(), ())
    for number, status in enumerate(("completed", "failed", "completed", "completed"), start=1):
        passing.on_trial_end(trial(number, status=status))
    passing.on_tick()
    assert inner.events == ["0001", "0002", "0003", "Forecast:", "0004", "tick"]


@pytest.mark.parametrize(("factor", "again"), [(1.0, False), (1.2, False), (3.0, True)])
def test_measured_ahead_it_comes_at_once_and_again_if_it_was_wrong(
    factor: float, again: bool
) -> None:
    inner, predict, factors = Display(), Predictor(), [1.0]
    passing = ForecastCallback(
        inner, plan(), lambda *given: factors[-1] * predict(*given), (), is_measured=True
    )
    (said,) = inner.texts
    assert said.startswith("Forecast: an epoch takes about") and inner.pace.seconds
    before = inner.pace.seconds
    factors.append(factor)
    passing.on_trial_end(trial(1, seconds=factor * before))
    assert len(inner.texts) == 1
    passing.on_trial_end(trial(2, seconds=factor * before))
    passing.on_trial_end(trial(3, seconds=99 * before))
    assert [each.split(":")[0] for each in inner.texts[1:]] == (
        ["Forecast after the first candidates"] if again else []
    )


class Display(Quiet):
    """Keeps the pace and the messages that it receives."""

    def __init__(self) -> None:
        self.pace, self.texts = Pace(None, None), list[str]()

    def on_pace(self, pace: Pace) -> None:
        self.pace = pace

    def on_message(self, text: str) -> None:
        self.texts.append(text)


def test_a_resumed_search_has_its_forecast_at_once() -> None:
    before = [trial(0, role=BASELINE, seconds=90.0), trial(1, seconds=10.0), trial(2, seconds=14.0)]
    inner, predict = Display(), Predictor()
    ForecastCallback(inner, plan(trials=10, deadline=50.0), predict, before)
    (text,) = inner.texts
    assert text.startswith("Forecast:")
    expected = (3 * mean(predict.seen[:40]) + 10 + 14) / 5
    assert inner.pace == Pace(pytest.approx(expected), 50.0)  # type: ignore[arg-type]
    assert Display().pace.seconds is None
    ForecastCallback(inner, plan(), predict, [*before[:1], trial(1, ended=None)])
    assert inner.pace.seconds is None, "the baseline alone says nothing of the space"


def test_the_time_left_is_right_within_a_quarter_after_two_candidates() -> None:
    """Times of a machine that the predictor does not know, candidates in random order."""
    errors = []
    for seed in range(40):
        rng, chosen = random.Random(seed), list[float]()
        predict, drawn = Predictor(), plan()
        while len(chosen) < 20:
            candidate = SPACE.decode(SPACE.sample(rng))
            if count(candidate.architecture).macs <= LIMIT:
                chosen.append(predict(candidate, 10) * rng.uniform(0.9, 1.1))
        inner = Display()
        done = [trial(n, seconds=chosen[n]) for n in range(2)]
        ForecastCallback(inner, drawn, predict, done)
        assert inner.pace.seconds is not None
        errors.append(abs(18 * inner.pace.seconds / sum(chosen[2:]) - 1))
    assert sorted(errors)[len(errors) // 2] < 0.25
