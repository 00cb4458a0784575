"""Which candidate a search recommends: seen through noise, judged by those like it."""

import random
from statistics import mean
from typing import Any

import pytest

from cnnsearch.oracles.points import is_active
from cnnsearch.oracles.similarity import Encoder, compare
from cnnsearch.oracles.strategy import History, Trial
from cnnsearch.oracles.surrogate import Surrogate

from .helpers import Space, accept, choice, make, mixed_space

CHOICES = Space(tuple(choice(f"c{i}", "a", "b", "c") for i in range(6)))


def find_truth(values: dict[str, str]) -> float:
    return sum({"a": 0.0, "b": 0.5, "c": 1.0}[value] for value in values.values())


def recommend(seed: int, noise: float) -> tuple[float, float]:
    """Returns the true scores of the recommended of 40 candidates, and of the luckiest."""
    rng, trials, truths = random.Random(seed), {}, {}
    for number in range(40):
        values, name = CHOICES.sample(rng), f"{number:04}"
        truths[name] = find_truth(values)
        score = truths[name] + rng.gauss(0.0, noise)
        trials[name] = Trial(name, values, "COMPLETED", score)
    done = list(trials.values())
    history = History(CHOICES, trials, done, 1, 40, True, seed, accept, lambda pool: pool)
    luckiest = max(done, key=lambda trial: trial.score or 0.0)
    return truths[Surrogate().recommend(history).id], truths[luckiest.id]


def test_the_recommended_candidate_is_better_than_the_luckiest_one() -> None:
    found = [recommend(seed, noise=0.8) for seed in range(20)]
    recommended, luckiest = mean(r for r, _ in found), mean(b for _, b in found)
    assert recommended > luckiest + 0.05


def test_without_noise_the_best_is_recommended() -> None:
    recommended, best = recommend(0, noise=0.0)
    assert recommended == best


def test_nothing_is_recommended_before_a_trial_is_finished() -> None:
    oracle = make("surrogate", CHOICES)
    assert oracle.recommend() is None
    oracle.propose("slot")
    assert oracle.recommend() is None


@pytest.mark.parametrize("strategy", ["random", "evolution"])
def test_other_strategies_recommend_the_best_observation(strategy: str) -> None:
    oracle, scores = make(strategy, CHOICES), {}
    for score in (0.1, 0.9, 0.4):
        proposal = oracle.propose("slot")
        scores[score] = proposal.trial_id
        oracle.complete(proposal.trial_id, score)
    assert oracle.recommend().id == scores[0.9]


def find_likeness(space: Space, a: dict[str, Any], b: dict[str, Any]) -> float:
    """The mean over the hyperparameters that are active in either candidate, one by one."""
    alike = []
    for p in space.parameters:
        if is_active(p, a) and is_active(p, b) and p.kind == "choice":
            ranked = sorted(p.options) if p.ordered else []
            apart = abs(ranked.index(a[p.name]) - ranked.index(b[p.name])) if ranked else 0
            near = 1 - apart / (len(ranked) - 1) if ranked else float(a[p.name] == b[p.name])
            alike.append(near)
        elif p.name in a and p.name in b and p.name == "depth":
            alike.append(1 - abs(a["depth"] - b["depth"]) / 3)
        elif p.name in a or p.name in b:
            alike.append(0.0)
    return mean(alike)


def test_likeness_is_the_share_of_equal_values() -> None:
    whole = mixed_space()
    space = Space(tuple(p for p in whole.parameters if p.kind == "choice" or p.name == "depth"))
    rng = random.Random(0)
    points = [space.sample(rng) for _ in range(30)]
    encoded = Encoder(space.parameters).encode(points)
    found = compare(encoded, encoded)
    for i, a in enumerate(points):
        for j, b in enumerate(points):
            assert found[i, j] == pytest.approx(find_likeness(space, a, b))


def test_values_of_another_space_are_like_nothing() -> None:
    encoded = Encoder(CHOICES.parameters).encode([{"c0": "a"}, {"c0": "z", "other": 3}])
    assert compare(encoded, encoded)[1].tolist() == [0.0, 0.0]


def test_a_suggestion_counts_few_candidates() -> None:
    """Counting costs most of a suggestion: only the promising part of a pool is counted."""
    counted: list[dict[str, Any]] = []
    oracle = make("surrogate", mixed_space(), check=lambda v: counted.append(v) or accept(v))
    for score in (0.1, 0.3, 0.2):
        oracle.complete(oracle.propose("slot").trial_id, score)
    counted.clear()
    oracle.propose("slot")
    assert len(counted) <= 20


def test_equal_scores_are_no_reason_for_a_warning() -> None:
    rng, trials = random.Random(0), {}
    for number in range(6):
        name = f"{number:04}"
        trials[name] = Trial(name, CHOICES.sample(rng), "COMPLETED", 1.0)
    done = list(trials.values())
    history = History(CHOICES, trials, done, 1, 6, True, 0, accept, lambda pool: pool)
    assert Surrogate().recommend(history) in done
