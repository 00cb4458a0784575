"""The surrogate learns from earlier searches, and is not misled for long."""

import random
from statistics import mean

import pytest

from cnnsearch.oracles.protocol import Earlier, EarlierResult

from .helpers import Space, choice, make

CHOICES = Space(tuple(choice(f"c{i}", "a", "b", "c", "d") for i in range(8)))
SEEDS = range(4)


def count_best(values: dict[str, str]) -> int:
    return list(values.values()).count("c")


def make_earlier(number: int, *, shuffled: bool = False) -> Earlier:
    rng = random.Random(5)
    points = [CHOICES.sample(rng) for _ in range(number)]
    scores = [float(count_best(values)) for values in points]
    if shuffled:
        rng.shuffle(scores)
    return (tuple(EarlierResult(v, s, 100) for v, s in zip(points, scores, strict=True)),)


def search(seed: int, trials: int, earlier: Earlier) -> list[int]:
    """Returns the best score after each trial."""
    oracle = make("surrogate", CHOICES, max_trials=trials, seed=seed, earlier=earlier)
    found: list[int] = []
    for _ in range(trials):
        proposal = oracle.propose("slot")
        score = count_best(proposal.values)
        oracle.complete(proposal.trial_id, float(score))
        found.append(max(score, *found[-1:]) if found else score)
    return found


@pytest.fixture(scope="module")
def cold() -> list[list[int]]:
    return [search(seed, 16, ()) for seed in SEEDS]


def test_it_starts_with_the_best_candidates_of_the_earlier_search() -> None:
    earlier = make_earlier(20)
    best = sorted(earlier[0], key=lambda result: -result.score)[0]
    oracle = make("surrogate", CHOICES, earlier=earlier)
    assert oracle.propose("slot").values == best.values


def test_what_was_learned_finds_better_candidates_early(cold: list[list[int]]) -> None:
    warm = [search(seed, 8, make_earlier(40)) for seed in SEEDS]
    assert mean(run[7] for run in warm) >= mean(run[7] for run in cold) + 1


def test_an_earlier_search_that_misleads_costs_little(cold: list[list[int]]) -> None:
    misled = [search(seed, 16, make_earlier(40, shuffled=True)) for seed in SEEDS]
    assert mean(run[15] for run in misled) >= mean(run[15] for run in cold) - 1
