"""The surrogate on NAS-Bench-Macro: real accuracies of 6,561 trained networks."""

import csv
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest

from cnnsearch import Budget, SearchSpace
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.protocol import Proposal
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
