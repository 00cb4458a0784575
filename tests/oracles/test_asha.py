"""What is particular to asynchronous successive halving, with and without a growing last rung."""

from collections import Counter
from typing import Any

import pytest

from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.oracles.protocol import WAIT, Proposal

from .helpers import Store, drive, finish, make, score


def lengths(proposals: list[Proposal]) -> Counter[int]:
    return Counter(p.epochs for p in proposals)


def run_ranked(oracle: Any, rank: Any, number: int) -> list[tuple[int, str | None]]:
    """Ends each trial at once with a score of its place and epochs; returns epochs and pasts."""
    seen: list[tuple[int, str | None]] = []
    while len(seen) < number and isinstance(proposal := oracle.propose("slot"), Proposal):
        seen.append((proposal.epochs, proposal.continues))
        oracle.complete(proposal.trial_id, rank(proposal))
    return seen


def test_the_order_of_the_papers_algorithm_with_one_worker() -> None:
    """By hand, with factor 2 and scores that fall from trial to trial: the first is the best.

    Two in the first rung let the first be promoted; of four, the second too; two in the second
    rung let the first be promoted again.
    """
    oracle = make("asha", epochs=4, max_trials=None, options={"reduction_factor": 2})
    first: dict[str, int] = {}

    def rank(proposal: Proposal) -> float:
        past = proposal.continues
        first[proposal.trial_id] = first[past] if past else proposal.number
        return 1.0 - first[proposal.trial_id] / 100

    assert run_ranked(oracle, rank, 7) == [
        (1, None), (1, None), (2, "0001"),
        (1, None), (1, None), (2, "0002"),
        (4, "0003"),
    ]  # fmt: skip


@pytest.mark.parametrize("strategy", ["asha", "pasha"])
def test_never_waits_for_a_rung(strategy: str) -> None:
    """While one candidate trains on and on, all other slots are given work."""
    oracle = make(strategy, epochs=27, max_trials=None)
    slow = oracle.propose("slow")
    for _ in range(60):
        proposal = oracle.propose("fast")
        assert proposal is not WAIT
        finish(oracle, proposal)
    assert oracle.propose("slow") == slow


@pytest.mark.parametrize("slots", [1, 4])
def test_no_more_than_one_in_three_is_promoted_at_any_time(slots: int) -> None:
    proposals = drive(make("asha", epochs=27, max_trials=None), slots=slots, limit=150)
    counts = lengths(proposals)
    assert set(counts) == {1, 3, 9, 27}
    assert all(counts[3 * epochs] <= counts[epochs] / 3 for epochs in (1, 3, 9))


def test_a_promotion_resumes_the_promoted_trial_and_each_only_once() -> None:
    proposals = {p.trial_id: p for p in drive(make("asha", epochs=27), failing=0.2, slots=3)}
    promoted = [p for p in proposals.values() if p.continues is not None]
    pasts = [proposals[p.continues or ""] for p in promoted]
    assert len({p.trial_id for p in pasts}) == len(pasts) > 5
    for proposal, past in zip(promoted, pasts, strict=True):
        assert (proposal.values, proposal.fingerprint) == (past.values, past.fingerprint)
        assert proposal.initial_epoch == past.epochs < proposal.epochs


def test_the_best_are_promoted() -> None:
    proposals = drive(make("asha", epochs=3, max_trials=30), slots=2)
    first = sorted((p for p in proposals if p.epochs == 1), key=lambda p: -score(p.values))
    promoted = {p.continues for p in proposals if p.continues}
    assert {p.trial_id for p in first[:8]} <= promoted


def test_a_failed_promotion_is_replaced_by_the_next_best() -> None:
    oracle = make("asha", epochs=3, max_trials=3)
    ids = [oracle.propose(f"slot{i}").trial_id for i in range(3)]
    for place, trial_id in enumerate(ids):
        oracle.complete(trial_id, 0.5 - place / 10)
    best = oracle.propose("slot")
    assert best.continues == "0001"
    oracle.fail(best.trial_id, "nan")
    assert oracle.propose("slot").continues == "0002"


@pytest.mark.parametrize(("trials", "slots"), [(4, 1), (7, 1), (7, 3), (20, 2)])
def test_even_a_short_search_trains_one_in_full(trials: int, slots: int) -> None:
    proposals = drive(make("asha", epochs=27, max_trials=trials), slots=slots)
    assert len([p for p in proposals if p.continues is None]) == trials
    assert 1 <= lengths(proposals)[27] <= 1 + trials / 9


def test_the_first_rung_and_the_factor_are_options() -> None:
    options = {"reduction_factor": 4, "min_epochs": 3}
    proposals = drive(make("asha", epochs=50, options=options))
    assert set(lengths(proposals)) == {4, 13, 50}  # 50 / 16 and 50 / 4, rounded up
    with pytest.raises(CnnsearchError, match=r"--min-epochs: .* the candidates' 2 epochs, got 3"):
        make("asha", epochs=2, options=options)


def test_another_factor_does_not_resume_a_search() -> None:
    store = Store()
    make("asha", store=store, options={"reduction_factor": 4}).propose("slot")
    with pytest.raises(RunError, match="reduction_factor 4 and cannot be resumed with 2"):
        make("asha", store=store, options={"reduction_factor": 2})


def test_pasha_stays_at_the_second_rung_while_the_ranking_is_stable() -> None:
    counts = lengths(drive(make("pasha", epochs=81, max_trials=60), slots=3))
    assert set(counts) == {1, 3}


def test_pasha_grows_where_longer_training_changes_the_ranking() -> None:
    """The longer it trains, the other way round: each rung disagrees with the one below."""
    oracle = make("pasha", epochs=81, max_trials=200)
    sign = {1: 1, 3: -1, 9: 1, 27: -1, 81: 1}
    seen = run_ranked(oracle, lambda p: sign[p.epochs] * 50 * score(p.values), 10_000)
    assert max(epochs for epochs, _ in seen) == 81


def test_pasha_ignores_differences_within_two_and_a_half_points() -> None:
    oracle = make("pasha", epochs=81, max_trials=60)
    sign = {1: 1, 3: -1, 9: 1, 27: -1, 81: 1}
    seen = run_ranked(oracle, lambda p: 0.5 + sign[p.epochs] * score(p.values) / 80, 10_000)
    assert {epochs for epochs, _ in seen} == {1, 3}
