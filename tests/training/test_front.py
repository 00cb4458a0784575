"""Domination and hypervolume, against counts of cells and figures by hand."""

import itertools
import random

import pytest

from cnnsearch.errors import CnnsearchError
from cnnsearch.training.objectives import find_costs, find_objective, normalize_objective
from cnnsearch.training.objectives.front import (
    compute_crowding,
    compute_hypervolume,
    find_front,
    peel_fronts,
)


def count_cells(points: list[tuple[float, ...]], size: int) -> int:
    """The cells of a grid below any point: their number is the volume above the origin."""
    cells = itertools.product(range(size), repeat=len(points[0]))
    return sum(
        any(all(c < x for c, x in zip(cell, p, strict=True)) for p in points) for cell in cells
    )


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_hypervolume_is_the_number_of_dominated_cells(objectives: int) -> None:
    rng = random.Random(objectives)
    for _ in range(30):
        points = [
            tuple(float(rng.randint(-1, 6)) for _ in range(objectives))
            for _ in range(rng.randint(1, 9))
        ]
        assert compute_hypervolume(points, (0.0,) * objectives) == count_cells(points, 6)


def test_points_that_do_not_dominate_the_reference_add_nothing() -> None:
    assert compute_hypervolume([(0.9, -2.0), (-0.1, -0.5)], (0.0, -1.0)) == 0.0
    assert compute_hypervolume([(0.5, -0.75)], (0.0, -1.0)) == pytest.approx(0.125)


def test_fronts_are_peeled_one_after_another() -> None:
    points = [(1.0, 1.0), (2.0, 0.0), (0.0, 2.0), (0.0, 1.0), (0.0, 0.0), (1.0, 1.0)]
    assert find_front(points) == [0, 1, 2, 5]
    assert list(peel_fronts(points)) == [[0, 1, 2, 5], [3], [4]]


def test_crowding_by_hand() -> None:
    """The middle one: (2 - 0) / 4 for the first objective and (4 - 1) / 4 for the second."""
    infinite = float("inf")
    assert compute_crowding([(0.0, 4.0), (1.0, 3.0), (2.0, 1.0), (4.0, 0.0)]) == [
        infinite, 2 / 4 + 3 / 4, 3 / 4 + 3 / 4, infinite,
    ]  # fmt: skip


def test_a_metric_and_costs_are_named_in_any_order() -> None:
    assert normalize_objective("macs,val_accuracy") == "accuracy, macs"
    assert find_objective("params, macro_f1, macs").name == "macro_f1"
    assert [cost.name for cost in find_costs("params, macro_f1, macs")] == ["params", "macs"]
    assert find_costs("macro_f1") == ()


@pytest.mark.parametrize(
    "text", ["macs", "macs, params", "accuracy, macro_f1", "accuracy, macs, macs"]
)
def test_one_metric_and_different_costs_are_expected(text: str) -> None:
    with pytest.raises(CnnsearchError, match=f"--objective: expected one of .*, got '{text}'"):
        normalize_objective(text)


def test_an_unknown_cost_suggests_the_nearest() -> None:
    with pytest.raises(CnnsearchError, match="got 'mac', did you mean 'macs'"):
        normalize_objective("accuracy, mac")
