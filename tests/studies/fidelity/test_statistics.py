"""Rank correlations against scipy, their intervals, and the noise of seeds."""

import random
import statistics

import numpy as np
import pytest
from scipy import stats

from cnnsearch.studies.fidelity.statistics import (
    bootstrap_interval,
    compute_kendall,
    compute_rank,
    compute_spearman,
    estimate_noise,
    select_top,
)


def pairs(count: int, spread: float) -> tuple[list[float], list[float]]:
    rng = random.Random(3)
    long = [rng.random() for _ in range(count)]
    return [score + rng.gauss(0, spread) for score in long], long


def test_correlations_are_scipys() -> None:
    short, long = pairs(30, 0.2)
    assert compute_spearman(short, long) == pytest.approx(stats.spearmanr(short, long).statistic)
    assert compute_kendall(short, long) == pytest.approx(stats.kendalltau(short, long).statistic)


def test_spearman_is_pearson_of_ranks_with_ties_averaged() -> None:
    short, long = [0.5, 0.5, 0.7, 0.9], [0.1, 0.3, 0.2, 0.4]
    ranks = [1.5, 1.5, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]
    assert compute_spearman(short, long) == pytest.approx(statistics.correlation(*ranks))


def test_ties_count_as_scipy_counts_them() -> None:
    short, long = [0.5, 0.5, 0.7, 0.9, 0.9, 0.2], [0.1, 0.3, 0.3, 0.4, 0.2, 0.2]
    assert compute_kendall(short, long) == pytest.approx(stats.kendalltau(short, long).statistic)
    assert compute_spearman(short, long) == pytest.approx(stats.spearmanr(short, long).statistic)


def test_many_resamples_at_once_are_what_one_after_the_other_is() -> None:
    rng = np.random.default_rng(1)
    short, long = rng.random((5, 8)), rng.random((5, 8))
    for statistic in (compute_spearman, compute_kendall):
        each = [float(statistic(a, b)) for a, b in zip(short, long, strict=True)]
        assert statistic(short, long) == pytest.approx(each)


def test_a_constant_side_correlates_with_nothing() -> None:
    assert compute_spearman([0.1, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4]) == 0
    assert compute_kendall([0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.5, 0.5]) == 0


def test_an_interval_holds_its_value_and_narrows_with_more_pairs() -> None:
    few, many = (bootstrap_interval(compute_spearman, *pairs(count, 0.2)) for count in (10, 200))
    for found in (few, many):
        assert found.low <= found.value <= found.high
    assert many.high - many.low < few.high - few.low


def test_an_interval_covers_what_theory_gives_for_independent_sides() -> None:
    rng = random.Random(1)
    found = bootstrap_interval(
        compute_spearman, [rng.random() for _ in range(60)], [rng.random() for _ in range(60)]
    )
    assert found.low < 0 < found.high
    assert 0.2 < found.high - found.low < 0.8  # about 2 * 1.96 / sqrt(59)


def test_perfect_agreement_has_an_interval_of_no_width() -> None:
    found = bootstrap_interval(compute_spearman, [1, 2, 3, 4, 5], [2, 3, 4, 5, 6])
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_the_same_seed_gives_the_same_interval() -> None:
    assert bootstrap_interval(compute_kendall, *pairs(12, 0.3)) == bootstrap_interval(
        compute_kendall, *pairs(12, 0.3)
    )


def test_top_and_rank() -> None:
    scores = [0.2, 0.9, 0.5, 0.9]
    assert select_top(scores, 2) == {1, 3}
    assert select_top(scores, 1) == {1}
    assert [compute_rank(place, scores) for place in range(4)] == [4, 2, 3, 2]


def test_noise_of_seeds_is_the_deviation_it_was_made_with() -> None:
    rng = random.Random(2)
    true = [rng.gauss(0.6, 0.05) for _ in range(4000)]
    first, again = ([t + rng.gauss(0, 0.02) for t in true] for _ in range(2))
    found = estimate_noise(first, again, first)
    assert found.pairs == 4000
    assert found.deviation == pytest.approx(0.02, rel=0.05)
    assert found.ceiling == pytest.approx(stats.pearsonr(first, again).statistic, abs=0.02)
