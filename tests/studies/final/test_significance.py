"""Who beats whom: seeds and test images both count."""

import numpy as np
import pytest
from scipy import stats

from cnnsearch.studies.final.significance import compare_accuracy


def right(shares: list[float], images: int = 2000, seed: int = 0) -> np.ndarray:
    """Right answers of each seed: the same images are hard for all."""
    hard = np.random.default_rng(seed).permutation(images)
    return np.stack([hard < round(share * images) for share in shares])


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        ([0.95, 0.951, 0.949], [0.90, 0.901, 0.899], "yes"),
        ([0.90, 0.901, 0.899], [0.95, 0.951, 0.949], "no"),
        ([0.95, 0.90, 0.92], [0.93, 0.91, 0.94], "unclear"),
        ([0.95], [0.80], "yes"),
        ([0.95], [0.95], "unclear"),
        ([0.9, 0.9], [0.9, 0.9], "unclear"),
    ],
)
def test_a_verdict_needs_more_than_a_compare_accuracy(
    one: list[float], two: list[float], said: str
) -> None:
    assert compare_accuracy(right(one), right(two)).beaten == said


def test_seeds_that_agree_do_not_make_one_image_a_victory() -> None:
    one, two = np.ones((3, 360), bool), np.ones((3, 360), bool)
    two[:, 0] = False
    found = compare_accuracy(one, two)
    assert found.gap == pytest.approx(1 / 360)
    assert found.beaten == "unclear"


def test_the_interval_of_many_images_is_welchs() -> None:
    values = ([0.95, 0.93, 0.94], [0.91, 0.92, 0.90])
    found = compare_accuracy(*(right(shares, 200_000) for shares in values))
    welch = stats.ttest_ind(*values, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((welch.low, welch.high), abs=1e-3)


def test_seeds_that_agree_on_one_side_warn_nobody() -> None:
    found = compare_accuracy(right([0.9, 0.9, 0.9]), right([0.8, 0.81, 0.79]))
    assert found.beaten == "yes"


def test_images_are_compared_in_pairs() -> None:
    one, two = right([0.9]), right([0.88])
    paired = one[0].astype(float) - two[0]
    half = 1.96 * paired.std(ddof=1) / np.sqrt(2000)
    found = compare_accuracy(one, two)
    assert (found.low, found.high) == pytest.approx((found.gap - half, found.gap + half))
    assert not found.seeds


def test_an_interval_of_nothing_but_chance_covers_nought_nearly_always() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        easy = rng.beta(8, 1, 400)
        one, two = (rng.random((3, 400)) < easy for _ in range(2))
        covered += compare_accuracy(one, two).beaten == "unclear"
    assert covered >= 190
