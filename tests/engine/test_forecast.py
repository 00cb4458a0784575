"""The forecast after the first candidates."""

import random
from statistics import mean
from typing import Any

import pytest

from cnnsearch.architecture.cost import Budget, count
from cnnsearch.engine.candidate_sample import CandidateSample
from cnnsearch.engine.display.callback import Pace
from cnnsearch.engine.display.lines import Quiet
from cnnsearch.engine.forecast import ForecastCallback, Plan, describe_forecast
from cnnsearch.engine.rehearsal import PROPOSALS, rehearse
from cnnsearch.engine.search_oracle import NullStore, ReadOnlyStore
from cnnsearch.oracles import STRATEGIES, create_oracle
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.runs.records import BASELINE
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.units import format_time
from tests.engine.test_display import trial
from tests.oracles.helpers import Store

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


def describe(plan: Plan, predict: Any, each: float, **given: Any) -> str:
    facts = {"done": 2, "now": 0.0, "title": "Forecast", **given}
    return describe_forecast(plan, predict, each, **facts)


def test_the_rest_takes_as_many_means_as_candidates_are_left() -> None:
    predict = Predictor()
    text = describe(plan(trials=5), predict, 7.0)
    assert "; 3 more take about 21 s." in text
    assert f"{min(predict.seen) / 10:.1f} s for the smallest" in text
    assert f"{max(predict.seen) / 10:.1f} s for the largest" in text


def test_the_time_limits_the_candidates() -> None:
    text = describe(plan(deadline=100.0 + 8.5 * 7), Predictor(), 7.0, now=100.0)
    assert "about 10 of 20 candidates fit into the time" in text
    text = describe(plan(deadline=8.5 * 7, workers=2), Predictor(), 7.0)
    assert "about 19 of 20 candidates" in text
    text = describe(plan(deadline=99.0 * 7), Predictor(), 7.0)
    assert "all 20 candidates fit into the time" in text
    text = describe(plan(deadline=5.5 * 7, trials=None), Predictor(), 7.0)
    assert "about 7 candidates fit into the time" in text


def test_without_a_prediction_there_is_no_forecast() -> None:
    assert describe(plan(), lambda candidate, epochs: None, 7.0) == ""
    assert describe(plan(budget=Budget(1, 1)), Predictor(), 7.0) == ""


def make_oracle(strategy: str, store: Any, max_trials: int = 20) -> Any:
    check = FeasibilityCheck(SPACE, Budget(None, LIMIT), ())
    return create_oracle(
        strategy, SPACE, check=check, store=store, max_trials=max_trials, epochs=10, seed=0
    )


def rehearse_on(strategy: str, max_trials: int = 20) -> list[Candidate]:
    return rehearse(make_oracle(strategy, NullStore(), max_trials), SPACE)


@pytest.mark.parametrize("strategy", [each.name for each in STRATEGIES if each.is_guided])
def test_a_guided_strategy_is_asked_what_it_would_propose(strategy: str) -> None:
    predict, inner = Predictor(), Display()
    proposed = rehearse_on(strategy)
    assert len({each.fingerprint for each in proposed}) == PROPOSALS
    drawn = plan(rehearse=lambda: proposed)
    ForecastCallback(inner, drawn, predict, (), is_measured=True)
    expected = mean(Predictor()(each, 10) for each in proposed)
    assert inner.pace.seconds == pytest.approx(expected)
    assert f"20 more take about {format_time(20 * expected)}" in inner.texts[0]


def test_the_surrogate_is_expected_to_propose_large_networks() -> None:
    sampled = mean(plan().predict_sample(Predictor()))
    assert mean(Predictor()(each, 10) for each in rehearse_on("surrogate")) > 1.2 * sampled


def test_a_rehearsal_ends_with_the_trials() -> None:
    assert len(rehearse_on("surrogate", max_trials=3)) == 3


@pytest.mark.parametrize("is_larger_better", [True, False])
def test_a_rehearsal_goes_on_from_the_scores_so_far(is_larger_better: bool) -> None:
    """Once large networks score less than small ones, small ones are expected, and vice versa."""
    store = Store()
    oracle = make_oracle("surrogate", store)
    for _ in range(6):
        proposal = oracle.propose("worker")
        assert isinstance(proposal, Proposal)
        macs = count(SPACE.decode(proposal.values).architecture).macs
        oracle.complete(proposal.trial_id, macs / LIMIT if is_larger_better else 1 - macs / LIMIT)
    saved = dict(store.trials)
    proposed = rehearse(make_oracle("surrogate", ReadOnlyStore(store)), SPACE)
    assert store.trials == saved, "a rehearsal changed the search"
    sampled = mean(plan().predict_sample(Predictor()))
    assert (mean(Predictor()(each, 10) for each in proposed) > sampled) == is_larger_better


def test_after_one_candidate_the_large_are_still_expected() -> None:
    """Its real score and the made-up ones are of one scale: it is not the worst of all."""
    store = Store()
    oracle = make_oracle("surrogate", store)
    proposal = oracle.propose("worker")
    assert isinstance(proposal, Proposal)
    oracle.complete(proposal.trial_id, 0.99)  # the largest of fifty
    proposed = rehearse(make_oracle("surrogate", ReadOnlyStore(store)), SPACE)
    sampled = mean(plan().predict_sample(Predictor()))
    assert mean(Predictor()(each, 10) for each in proposed) > 1.2 * sampled


def test_it_rehearses_until_the_first_candidates_are_trained() -> None:
    """Later, the candidates that were trained say more, and large searches have no time for it."""
    calls = list[int]()
    proposed = rehearse_on("surrogate")
    drawn = plan(rehearse=lambda: calls.append(1) or proposed)  # type: ignore[func-returns-value]
    passing = ForecastCallback(Display(), drawn, Predictor(), (), is_measured=True)
    for number in range(1, 9):
        passing.on_trial_end(trial(number, seconds=9.0))
    assert len(calls) == 6


def test_candidates_over_the_time_limit_do_not_count() -> None:
    predict = Predictor()
    seconds = sorted(plan().predict_sample(predict))

    class Limit:
        def allows(self, candidate: Candidate) -> bool:
            return 10 * count(candidate.architecture).macs / 1e6 <= seconds[9]

    limit: Any = Limit()
    text = describe(plan(trials=5, limit=limit), predict, 7.0)
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
