"""The baseline in front of a strategy: counted, resumed, kept from the strategy."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnsearch.architecture.cost import Budget
from cnnsearch.engine.baseline import NO_BASELINE, TRIAL, BaselineFirst, find_baseline
from cnnsearch.engine.display import Quiet
from cnnsearch.engine.driver import Driver
from cnnsearch.engine.run_manifest import keep_earlier, read_settings
from cnnsearch.engine.settings import Settings
from cnnsearch.engine.trial_plan import TrialPlan
from cnnsearch.oracles import STRATEGIES, create_oracle, find_strategy
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.messages import Failed, Outcome, TrialTask
from tests.cli.program import run
from tests.engine.fake_driver import SPACE, FakeExecutor, by_size


def search(
    root: Path, executor: FakeExecutor, *, strategy: str = "evolution", **given: Any
) -> list[TrialRecord]:
    """Runs one session of a search, as ``train_candidates`` does; returns its trials."""
    settings = Settings.create(SPACE, "s", strategy=strategy, **{"trials": 6, **given})
    space, text = SearchSpace.from_text(SPACE, "s"), SPACE
    exists = RunDirectory.exists(root, "r")
    run = RunDirectory.open(root, "r") if exists else RunDirectory.create(root, "r", {}, text)
    baseline = find_baseline(settings, space)
    oracle: Any = create_oracle(
        strategy, space, check=FeasibilityCheck(space, Budget()), store=run.db,
        max_trials=settings.search.trials, epochs=3, seed=0,
    )  # fmt: skip
    if baseline is not None:
        oracle = BaselineFirst(oracle, baseline, 3, run.db.get_trials())
    rungs = find_strategy(strategy).multi_fidelity
    dataset: Any = SimpleNamespace(train=SimpleNamespace(count=500))
    plan = TrialPlan(space, dataset, 0, None, rungs, baseline=baseline)
    tracker: Any = SimpleNamespace(notify=lambda: None)
    try:
        Driver(run, oracle, executor, plan, Quiet(), tracker).search()
        return run.db.get_trials()
    finally:
        run.close()


@pytest.mark.parametrize("strategy", [s.name for s in STRATEGIES if not s.multi_objective])
def test_it_comes_first_and_changes_nothing_that_the_strategy_proposes(
    tmp_path: Path, strategy: str
) -> None:
    found = search(tmp_path / "a", FakeExecutor(), strategy=strategy)
    bare = search(tmp_path / "b", FakeExecutor(), strategy=strategy, baseline="none", trials=5)
    assert next((t.id, t.role, t.family) for t in found) == (TRIAL, "baseline", "plain")
    assert [t.fingerprint for t in found[1:]] == [t.fingerprint for t in bare]
    assert not any(t.role for t in found[1:])
    if not find_strategy(strategy).multi_fidelity:
        assert len(found) == 6


def test_it_is_trained_like_the_candidates(tmp_path: Path) -> None:
    executor = FakeExecutor()
    found = search(tmp_path, executor)
    assert {t.epochs for t in found} == {3}
    assert executor.tasks[0].recipe == executor.tasks[1].recipe


def test_a_killed_one_is_trained_once_more_and_then_never_again(tmp_path: Path) -> None:
    first, second, third = FakeExecutor(), FakeExecutor(), FakeExecutor()

    def kill(number: int) -> None:
        raise KeyboardInterrupt

    first.before = kill
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, first)
    assert len(search(tmp_path, second)) == 6
    assert [t.trial_id for t in second.tasks] == [f"{n:04}" for n in range(6)]
    assert len(search(tmp_path, third, trials=8)) == 8
    assert [t.trial_id for t in third.tasks] == ["0006", "0007"]


def test_a_failed_one_is_replaced_by_a_candidate(tmp_path: Path) -> None:
    def answer(task: TrialTask) -> Outcome:
        return Failed("nan", "why") if task.trial_id == TRIAL else by_size(task)

    found = search(tmp_path, FakeExecutor(answer))
    assert [t.status for t in found] == ["failed", *["completed"] * 6]
    assert len(search(tmp_path, FakeExecutor(answer))) == 7


@pytest.mark.parametrize("given", [{"trials": 1}, {"baseline": "none"}, {"weights": "imagenet"}])
def test_some_searches_have_none(given: dict[str, Any]) -> None:
    settings = Settings.create(SPACE, "s", **given)
    assert find_baseline(settings, SearchSpace.from_text(SPACE)) is None


def test_a_run_older_than_baselines_resumes_without_one(tmp_path: Path) -> None:
    settings = Settings.create(SPACE, "s")
    old = {"source": "s", **settings.flatten()}
    del old["baseline"], old["split_version"]
    run = RunDirectory.create(tmp_path, "r", {"settings": old}, SPACE)
    assert settings.search.baseline == "plain"
    assert read_settings(run).search.baseline == "none"
    assert keep_earlier(run, settings).search.baseline == "none"
    run.close()


@pytest.mark.programs
@pytest.mark.parametrize(("given", "is_missing"), [({"max_params": "100"}, True), ({}, False)])
def test_a_search_says_that_no_baseline_meets_its_budget(
    tmp_path: Path, given: dict[str, Any], is_missing: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.yaml").write_text(SPACE)
    words = [f"--{key.replace('_', '-')}={value}" for key, value in given.items()]
    options = [*words, "--trials=2", "--epochs=1", "--workers=0", "--plain", f"--runs={tmp_path}"]
    assert run("search", str(tmp_path / "s.yaml"), *options) == 0
    printed = capsys.readouterr()
    assert (NO_BASELINE in printed.out + printed.err) is is_missing
