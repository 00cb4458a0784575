"""Every strategy on a space that ships, judged by its real cost, in a real run's database."""

from pathlib import Path

import pytest

from cnnsearch.architecture.cost import Budget, count
from cnnsearch.oracles import STRATEGIES, create_oracle
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.protocol import DONE, Proposal
from cnnsearch.oracles.search_oracle import SearchOracle
from cnnsearch.runs.database import RunDatabase
from cnnsearch.space.search_space import SearchSpace

LIMIT = 3_000_000


def open_search(strategy: str, space: SearchSpace, store: RunDatabase) -> SearchOracle:
    return create_oracle(
        strategy,
        space,
        check=FeasibilityCheck(space, Budget(max_macs=LIMIT)),
        store=store,
        max_trials=20,
        epochs=4,
        seed=2,
    )


def accuracy(proposal: Proposal) -> float:
    return int(proposal.fingerprint[:4], 16) / 2**16


@pytest.mark.parametrize("strategy", [strategy.name for strategy in STRATEGIES])
def test_a_search_in_a_database_survives_being_opened_again(strategy: str, tmp_path: Path) -> None:
    space = SearchSpace.load("tiny")
    whole = _drive(strategy, space, tmp_path / "whole.db", reopen=False)
    again = _drive(strategy, space, tmp_path / "again.db", reopen=True)
    assert [p.values for p in again] == [p.values for p in whole]
    new = [p for p in whole if p.continues is None]
    assert len({p.fingerprint for p in new}) == len(new) == 20
    for proposal in whole:
        candidate = space.decode(proposal.values)
        assert candidate.fingerprint == proposal.fingerprint
        assert count(candidate.architecture).macs <= LIMIT


def _drive(strategy: str, space: SearchSpace, path: Path, reopen: bool) -> list[Proposal]:
    RunDatabase.create(path).close()
    store = RunDatabase(path)
    oracle = open_search(strategy, space, store)
    proposals = []
    while (proposal := oracle.propose("slot")) is not DONE:
        assert isinstance(proposal, Proposal)
        if reopen:
            store.close()
            store = RunDatabase(path)
            oracle = open_search(strategy, space, store)
            repeated = oracle.propose("elsewhere")
            assert isinstance(repeated, Proposal) and repeated.repeated
            assert repeated.values == proposal.values
        oracle.complete(proposal.trial_id, accuracy(proposal))
        proposals.append(proposal)
    store.close()
    return proposals
