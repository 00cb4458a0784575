"""The surrogate on NAS-Bench-Macro: real accuracies of 6,561 trained networks."""

import csv
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest

from cnnsearch import Budget, SearchSpace
from cnnsearch.oracles.experience import rank_scores
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.oracles.surrogate import observe
from tests.oracles.helpers import Store, create_oracle

TABLE = Path(__file__).parents[2] / "benchmarks" / "replay" / "nas_bench_macro.csv"
SEEDS, EVALUATIONS = 4, 16


@pytest.fixture(scope="module")
def accuracies() -> dict[str, float]:
    with TABLE.open() as file:
        rows = list(csv.DictReader(file))
    return {r["arch"]: mean(float(r[f"acc_{i}"]) for i in (1, 2, 3)) for r in rows}


def search(strategy: str, seed: int, accuracies: dict[str, float], worst: bool = False) -> Any:
    """Returns the accuracies of the candidates in order; ``worst`` turns the ranking around."""
    space = SearchSpace.load("nas-bench-macro")
    check = FeasibilityCheck(space, Budget())
    oracle = create_oracle(
        strategy, space, check=check, store=Store(), max_trials=EVALUATIONS, epochs=1, seed=seed
    )
    seen = []
    while isinstance(proposal := oracle.propose("worker-0"), Proposal):
        choices = zip(space.parameters, proposal.values.values(), strict=True)
        accuracy = accuracies["".join(str(p.options.index(v)) for p, v in choices)]
        seen.append(accuracy)
        oracle.complete(proposal.trial_id, -accuracy if worst else accuracy)
    assert len(seen) == EVALUATIONS
    return seen


def test_it_is_near_the_best_network_after_a_few_trials(accuracies: dict[str, float]) -> None:
    best = max(accuracies.values())
    found = {
        strategy: [best - max(search(strategy, seed, accuracies)) for seed in range(SEEDS)]
        for strategy in ("surrogate", "evolution", "random")
    }
    assert median(found["surrogate"]) <= 0.15
    assert mean(found["surrogate"]) < mean(found["evolution"]) / 2
    assert mean(found["surrogate"]) < mean(found["random"]) / 2


def test_trials_correct_the_prior_that_larger_is_better(accuracies: dict[str, float]) -> None:
    """Where small networks rank first, the search ends among the worst of the table."""
    reached = [min(search("surrogate", seed, accuracies, worst=True)) for seed in range(SEEDS)]
    assert median(reached) <= sorted(accuracies.values())[30]


def test_equal_scores_have_equal_ranks_and_the_mean_is_zero() -> None:
    assert list(rank_scores([0.6])) == [0.0]
    first, *others = rank_scores([0.5, 0.9, 0.9, 0.9])
    assert len(set(others)) == 1 and first < others[0]
    assert sum(rank_scores([0.1, 0.5, 0.2, 0.2])) == pytest.approx(0.0)
    assert rank_scores(range(500)).std() == pytest.approx(1.0, abs=0.01)


def test_failed_candidates_rank_below_the_only_one_that_was_trained() -> None:
    space = SearchSpace.load("mixed")
    oracle: Any = create_oracle(
        "surrogate", space, check=FeasibilityCheck(space, Budget(max_macs=20_000_000)),
        store=Store(), max_trials=20, epochs=1, seed=1,
    )  # fmt: skip
    trained = oracle.propose("worker-0")
    oracle.complete(trained.trial_id, 0.6)
    for _ in range(4):
        oracle.fail(oracle.propose("worker-0").trial_id, "nan")
    history = oracle.make_history()
    points, ranks = observe(history)
    best = points[int(ranks.argmax())]
    assert best == trained.values and (ranks < ranks.max()).sum() == 4
