"""Published networks among the first candidates: which, when, and that only some searches do."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnsearch.engine.display import Quiet
from cnnsearch.engine.driver import Driver
from cnnsearch.engine.first_candidates import choose_first, describe_first
from cnnsearch.engine.search_oracle import make_oracle
from cnnsearch.engine.settings import Settings
from cnnsearch.engine.trial_plan import TrialPlan
from cnnsearch.errors import CnnsearchError
from cnnsearch.oracles import STRATEGIES, Strategy, find_strategy
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.protocol import EarlierResult, Proposal
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.published_points import find_points
from cnnsearch.space.search_space import SearchSpace
from tests.engine.fake_driver import FakeExecutor

RESIDUAL = SearchSpace.load("residual")
POINTS = find_points(RESIDUAL)


def choose(space: SearchSpace = RESIDUAL, **given: Any) -> list[str]:
    settings = Settings.create(space.text, "residual", **{"trials": 20, **given})
    check = FeasibilityCheck(space, settings.search.budget)
    return [point.name for point in choose_first(settings, find_points(space), check)]


def search(root: Path, executor: FakeExecutor, **given: Any) -> list[TrialRecord]:
    """Runs one session of a search of ``residual`` without training; returns its trials."""
    settings = Settings.create(RESIDUAL.text, "residual", **{"trials": 6, "epochs": 1, **given})
    exists = RunDirectory.exists(root, "r")
    make = RunDirectory.create
    run = RunDirectory.open(root, "r") if exists else make(root, "r", {}, RESIDUAL.text)
    oracle = make_oracle(settings, RESIDUAL, run.db, points=POINTS)
    names = {point.architecture.fingerprint: point.name for point in POINTS}
    dataset: Any = SimpleNamespace(train=SimpleNamespace(count=500))
    plan = TrialPlan(RESIDUAL, dataset, 0, 1, False, networks=names)
    tracker: Any = SimpleNamespace(notify=lambda: None)
    try:
        Driver(run, oracle, executor, plan, Quiet(), tracker).search()
        return run.db.get_trials()
    finally:
        run.close()


def test_within_a_budget_the_most_expensive_come_first() -> None:
    assert choose(max_macs="50M") == ["resnet-20-cifar-b"]
    assert choose(max_macs="100M") == [
        "resnet-44-cifar-b",
        "resnet-32-cifar-b",
        "resnet-20-cifar-b",
    ]
    assert choose(max_macs="30M") == []


def test_without_a_budget_the_cheapest_come_first() -> None:
    assert choose() == ["resnet-20-cifar", "resnet-32-cifar", "resnet-44-cifar"]


@pytest.mark.parametrize(("trials", "number"), [(2, 0), (3, 1), (8, 2), (9, 3), (100, 3)])
def test_they_are_at_most_three_and_a_third_of_the_candidates(trials: int, number: int) -> None:
    assert len(choose(trials=trials)) == number


@pytest.mark.parametrize(("side", "number"), [(8, 0), (16, 3), (64, 3), (65, 0)])
def test_they_were_published_for_images_of_about_this_size(side: int, number: int) -> None:
    assert len(choose(RESIDUAL.adapt(image=(side, side)))) == number


@pytest.mark.parametrize("given", [{"first": "none"}, {"learn_from": ("earlier",)}])
def test_some_searches_do_without(given: dict[str, Any]) -> None:
    assert choose(**given) == []


def test_another_word_is_refused() -> None:
    with pytest.raises(CnnsearchError, match="--first: expected published or none, got 'all'"):
        choose(first="all")


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s.is_guided])
def test_a_strategy_that_scores_guide_starts_with_them(
    tmp_path: Path, strategy: type[Strategy]
) -> None:
    given = {"objective": "accuracy, macs"} if strategy.multi_objective else {}
    found, again = (
        search(tmp_path / name, FakeExecutor(), strategy=strategy.name, **given) for name in "ab"
    )
    assert [t.network for t in found[:3]] == ["resnet-20-cifar", "resnet-32-cifar", ""]
    assert found[0].macs == 40_551_040 and found[0].label == "resnet-20-cifar"
    assert [t.fingerprint for t in found] == [t.fingerprint for t in again]
    assert len(found) == 6


@pytest.mark.parametrize("strategy", ["random", "grid", "hyperband", "asha"])
def test_the_others_do_not(strategy: str) -> None:
    assert not find_strategy(strategy).is_guided


def test_random_draws_stay_what_they_were(tmp_path: Path) -> None:
    with_points = search(tmp_path / "a", FakeExecutor(), strategy="random")
    without = search(tmp_path / "b", FakeExecutor(), strategy="random", first="none")
    assert [t.fingerprint for t in with_points] == [t.fingerprint for t in without]


def test_a_search_that_is_killed_anywhere_proposes_the_same(tmp_path: Path) -> None:
    whole = [t.fingerprint for t in search(tmp_path / "whole", FakeExecutor())]
    for last in (1, 2, 4):
        killed, resumed = FakeExecutor(), FakeExecutor()

        def kill(number: int, last: int = last) -> None:
            if number == last:
                raise KeyboardInterrupt

        killed.before = kill
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path / f"{last}", killed)
        found = search(tmp_path / f"{last}", resumed)
        assert [t.fingerprint for t in found] == whole


def test_a_run_older_than_the_setting_resumes_without_them(tmp_path: Path) -> None:
    from cnnsearch.engine.run_manifest import read_settings

    old = {"source": "s", **Settings.create(RESIDUAL.text, "s").flatten()}
    assert old.pop("first") == "published"
    run = RunDirectory.create(tmp_path, "r", {"settings": old}, RESIDUAL.text)
    assert read_settings(run).search.first == "none"
    run.close()


def test_a_line_names_them() -> None:
    assert describe_first(POINTS[:2]) == (
        "Starts with 2 published networks of the space: resnet-20-cifar, resnet-20-cifar-b "
        "(--first none does without)."
    )


def test_the_best_candidate_of_each_earlier_run_comes_before_all_others(tmp_path: Path) -> None:
    settings = Settings.create(RESIDUAL.text, "residual", trials=9, learn_from=("a", "b"))
    values = [point.values for point in POINTS]
    earlier = tuple(
        (EarlierResult(values[n], 0.5, 1), EarlierResult(values[n + 1], 0.9, 1)) for n in (0, 4)
    )
    run = RunDirectory.create(tmp_path, "r", {}, RESIDUAL.text)
    oracle = make_oracle(settings, RESIDUAL, run.db, earlier=earlier, points=POINTS)
    for place in (1, 5):
        proposal = oracle.propose("slot")
        assert isinstance(proposal, Proposal) and proposal.values == values[place]
        oracle.complete(proposal.trial_id, 0.5)
    assert oracle.draws.drawn == 2
    run.close()
