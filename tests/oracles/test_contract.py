"""What every strategy promises. A new one in ``STRATEGIES`` is tested here without a line more."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnnsearch.errors import BudgetError, CnnsearchError, SpaceError
from cnnsearch.oracles import find_strategy
from cnnsearch.oracles.points import is_active
from cnnsearch.oracles.protocol import DONE, WAIT, Feasibility, Proposal
from cnnsearch.space.choices import Parameter

from .helpers import (
    Space,
    Store,
    accept,
    budget,
    counted,
    drive,
    finish,
    macs,
    make,
    mixed_space,
    small_space,
)


def fresh(proposals: list[Proposal]) -> list[Proposal]:
    """New candidates, promotions left out."""
    return [p for p in proposals if p.continues is None]


def test_same_seed_same_candidates_in_the_same_order(strategy: str) -> None:
    first, second = (drive(make(strategy, seed=11)) for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_another_process_proposes_the_same_candidates(strategy: str) -> None:
    """Whatever order its sets have."""
    import os
    import subprocess
    import sys

    code = (
        "from tests.oracles.helpers import drive, make\n"
        f"print([p.fingerprint for p in drive(make({strategy!r}), slots=2, failing=0.2)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "12", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    here = [p.fingerprint for p in drive(make(strategy), slots=2, failing=0.2)]
    assert done.stdout.strip() == str(here), done.stderr[-2000:]


def test_candidates_do_not_depend_on_global_random_state(strategy: str) -> None:
    import random

    import numpy as np

    first = drive(make(strategy))
    random.random()
    np.random.rand()
    assert drive(make(strategy)) == first


def test_another_seed_gives_other_candidates(strategy: str) -> None:
    if not find_strategy(strategy).is_randomized:
        pytest.skip("it has no randomness")
    near = [[p.fingerprint for p in drive(make(strategy, seed=s))] for s in (0, 1)]
    assert len(set(near[0]) & set(near[1])) <= 1


def test_no_candidate_is_trained_twice(strategy: str) -> None:
    proposals = fresh(drive(make(strategy), slots=3))
    assert len({p.fingerprint for p in proposals}) == len(proposals) == 30


@pytest.mark.parametrize("slots", [1, 3])
def test_failed_candidates_are_replaced(strategy: str, slots: int) -> None:
    store = Store()
    oracle = make(strategy, max_trials=20, store=store)
    proposals = drive(oracle, failing=0.3, slots=slots)
    status = {i: json.loads(text)["status"] for i, text in store.trials.items()}
    failed = {p.fingerprint for p in proposals if status[p.trial_id] == "FAILED"}
    alive = {p.fingerprint for p in proposals} - failed
    assert len(alive) == 20 and failed
    assert oracle.propose("slot") is DONE
    assert oracle.reason == "trials"


def test_nobody_is_done_while_a_running_candidate_may_fail(strategy: str) -> None:
    oracle = make(strategy, max_trials=2)
    one, other = oracle.propose("a"), oracle.propose("b")
    assert oracle.propose("c") is WAIT
    oracle.fail(one.trial_id, "nan")
    third = oracle.propose("c")
    assert third.fingerprint not in (one.fingerprint, other.fingerprint)
    finish(oracle, other)
    finish(oracle, third)
    drive(oracle)  # what Hyperband promotes
    assert oracle.propose("a") is DONE and oracle.reason == "trials"


def test_only_active_values_are_proposed_and_they_are_complete(strategy: str) -> None:
    parameters = mixed_space().parameters
    for proposal in drive(make(strategy, max_trials=60), slots=2):
        active = [p.name for p in parameters if is_active(p, proposal.values)]
        assert list(proposal.values) == active
        for parameter in parameters:
            if parameter.name in proposal.values:
                value = proposal.values[parameter.name]
                assert parameter.holds(value), (parameter, value)


def test_proposals_meet_the_budget_and_draws_are_counted(strategy: str) -> None:
    oracle = make(strategy, check=budget(6000))
    proposals = drive(oracle)
    assert len(fresh(proposals)) == 30
    assert all(macs(p.values) <= 6000 for p in proposals)
    draws = oracle.draws
    # A grid begins with the smallest here.
    assert draws.over_budget > 0 or find_strategy(strategy).is_finite
    assert draws.drawn == 30 + draws.over_budget + draws.invalid + draws.duplicates
    assert draws.smallest["macs"] <= 6000


def test_over_budget_is_never_a_trial(strategy: str) -> None:
    oracle = make(strategy, check=budget(6000), max_trials=20)
    numbers = [p.number for p in drive(oracle)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_rare_feasible_candidate_is_found(strategy: str) -> None:
    if find_strategy(strategy).is_finite:
        pytest.skip("it meets its points in order")
    oracle = make(strategy, check=budget(850), max_trials=3)
    assert all(macs(p.values) <= 850 for p in drive(oracle))


def test_a_budget_that_nothing_meets_says_the_smallest_cost_seen(strategy: str) -> None:
    oracle = make(strategy, check=budget(10))
    with pytest.raises(BudgetError, match=r"no candidate meets the budget.* 800 MACs"):
        oracle.propose("slot")
    with pytest.raises(BudgetError):  # and again: nothing is left locked or half-done
        oracle.propose("slot")


def test_a_space_that_cannot_be_wired_is_no_budget_error(strategy: str) -> None:
    oracle = make(strategy, small_space(), check=lambda values: Feasibility(False, "invalid", str))
    with pytest.raises(SpaceError, match="no candidate of the space can be wired"):
        oracle.propose("slot")


def test_a_small_space_is_exhausted_exactly_once(strategy: str) -> None:
    oracle = make(strategy, small_space(), max_trials=1000)
    proposals = fresh(drive(oracle, slots=2))
    assert len(proposals) == len({p.fingerprint for p in proposals}) == 10
    assert oracle.propose("slot") is DONE
    assert oracle.reason == "exhausted"


def test_asking_an_exhausted_space_again_draws_nothing(strategy: str) -> None:
    oracle = make(strategy, small_space(), max_trials=1000)
    drive(oracle)
    before = oracle.draws
    assert oracle.propose("slot") is DONE
    assert oracle.draws == before


def test_a_small_space_is_exhausted_within_the_budget(strategy: str) -> None:
    def check(values: Any) -> Feasibility:
        feasibility = accept(values)
        fits = values.get("kernel") != 7
        return Feasibility(
            fits, None if fits else "budget", feasibility.identify, *counted(10, 100)
        )

    oracle = make(strategy, small_space(), check=check, max_trials=1000)
    assert len(fresh(drive(oracle))) == 8
    assert oracle.reason == "exhausted"


def test_values_that_mean_the_same_candidate_are_duplicates(strategy: str) -> None:
    def check(values: Any) -> Feasibility:
        return Feasibility(True, None, lambda: values["family"], *counted(10, 100))

    oracle = make(strategy, small_space(), check=check, max_trials=1000)
    families = sorted(p.values["family"] for p in fresh(drive(oracle)))
    assert families == ["plain", "residual"]
    assert oracle.draws.duplicates > 0


def test_a_space_without_choices_has_one_candidate(strategy: str) -> None:
    proposals = fresh(drive(make(strategy, Space(()), max_trials=100)))
    assert [p.values for p in proposals] == [{}]


def test_failures_do_not_stop_the_search(strategy: str) -> None:
    proposals = drive(make(strategy, max_trials=60), failing=0.3, slots=2)
    assert 60 < len(fresh(proposals)) < 120


@pytest.mark.parametrize(("wanted", "drawn"), [(25, 50), (4, 14)])
def test_a_search_continues_when_everything_fails_and_ends(
    strategy: str, wanted: int, drawn: int
) -> None:
    assert len(fresh(drive(make(strategy, max_trials=wanted), failing=1.1))) == drawn


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_is_a_failure(strategy: str, value: float) -> None:
    store = Store()
    oracle = make(strategy, store=store)
    proposal = oracle.propose("slot")
    oracle.complete(proposal.trial_id, value)
    record = json.loads(store.trials[proposal.trial_id])
    assert record["status"] == "FAILED" and str(value) in record["message"]
    assert oracle.propose("slot").fingerprint != proposal.fingerprint


def test_nothing_is_printed_and_no_file_is_written(
    strategy: str, capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    drive(make(strategy), failing=0.5, slots=2)
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_trials_are_numbered_in_order_of_proposal(strategy: str) -> None:
    proposals = drive(make(strategy), slots=3)
    assert [p.number for p in proposals] == list(range(1, len(proposals) + 1))
    assert [p.trial_id for p in proposals[:2]] == ["0001", "0002"]


def test_full_length_unless_the_strategy_halves(strategy: str) -> None:
    epochs = {p.epochs for p in drive(make(strategy, epochs=9))}
    if find_strategy(strategy).multi_fidelity:
        assert {1, 3} <= epochs <= {1, 3, 9}
    else:
        assert epochs == {9}


def test_never_waits_for_nothing(strategy: str) -> None:
    oracle = make(strategy, max_trials=9)
    answers: list[Any] = []
    while not answers or isinstance(answers[-1], Proposal):
        answers.append(oracle.propose(f"slot{len(answers)}"))
    assert answers[-1] is WAIT  # any of those that run may fail and be replaced


def test_huge_ranges_cost_nothing(strategy: str) -> None:
    huge = Space((Parameter("n", "int", low=1, high=10**9), Parameter("x", "float", low=0, high=1)))
    assert len(fresh(drive(make(strategy, huge, max_trials=15)))) == 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_trials": 0}, "trials must be at least 1, got 0"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
    ],
)
def test_numbers_below_one_are_refused(strategy: str, options: Any, message: str) -> None:
    with pytest.raises(CnnsearchError, match=message):
        make(strategy, **options)


def test_an_unknown_strategy_gets_the_nearest_name() -> None:
    with pytest.raises(CnnsearchError, match="got 'evolutoin', did you mean 'evolution'"):
        make("evolutoin")


def test_a_search_ends_soon_when_all_that_is_left_trains_too_long(strategy: str) -> None:
    if find_strategy(strategy).is_finite:
        pytest.skip("it meets its points in order")
    trained: list[str] = []

    def check(values: Any) -> Feasibility:
        fits = len(trained) < 4
        return replace(accept(values), is_feasible=fits, reason=None if fits else "time")

    oracle = make(strategy, check=check, max_trials=20)
    while isinstance(proposal := oracle.propose("slot"), Proposal):
        trained.append(proposal.trial_id)
        oracle.complete(proposal.trial_id, 0.5)
    assert proposal is DONE and oracle.reason == "slow"
    assert oracle.draws.too_slow < 2000
