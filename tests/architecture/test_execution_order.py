"""Orders of operators, against all orders of random networks."""

import random
from collections.abc import Iterator, Sequence

import pytest

from cnnsearch.architecture.execution_order import Operator, measure_peak, reorder


def list_orders(
    operators: Sequence[Operator], done: tuple[int, ...] = ()
) -> Iterator[tuple[int, ...]]:
    if len(done) == len(operators):
        yield done
    for number, (_, _, inputs) in enumerate(operators):
        if number not in done and set(inputs) <= set(done):
            yield from list_orders(operators, (*done, number))


def compute_peak(operators: Sequence[Operator], order: Sequence[int]) -> int:
    """The largest sum of what an operator writes and what it or a later one reads."""
    peaks = []
    for place in range(len(order)):
        later = {read for number in order[place:] for read in operators[number][2]}
        live = {number for number in order[:place] if number in later} | {order[place]}
        peaks.append(sum(operators[number][1] for number in live))
    return max(peaks)


def draw_operators(rng: random.Random) -> list[Operator]:
    """Draws operators, each read by a later one but for the last."""
    length = rng.randint(2, 8)
    operators: list[Operator] = []
    for number in range(length):
        reads = {rng.randrange(number) for _ in range(rng.randint(1, 2))} if number else set()
        operators.append(("conv", rng.randint(1, 20), tuple(sorted(reads))))
    unread = set(range(length - 1)) - {read for each in operators for read in each[2]}
    kind, size, reads_ = operators[-1]
    operators[-1] = (kind, size, tuple(sorted({*reads_, *unread})))
    return operators


@pytest.mark.parametrize("seed", range(80))
def test_small_networks_run_in_the_best_of_all_orders(seed: int) -> None:
    operators = draw_operators(random.Random(seed))
    assert measure_peak(operators) == compute_peak(operators, range(len(operators)))
    best = min(compute_peak(operators, order) for order in list_orders(operators))
    order, peak = reorder(operators)
    assert peak == compute_peak(operators, order or range(len(operators))) == best


def test_the_branch_with_the_large_map_runs_last() -> None:
    operators: list[Operator] = [
        ("image", 1, ()), ("conv", 10, (0,)),
        ("large", 8, (1,)), ("small", 4, (1,)), ("small", 1, (3,)),
        ("large", 6, (2,)), ("add", 1, (4, 5)),
    ]  # fmt: skip
    assert measure_peak(operators) == 10 + 8 + 4
    assert reorder(operators) == ([0, 1, 3, 4, 2, 5, 6], 10 + 1 + 8)


def test_operators_without_a_choice_are_left_alone() -> None:
    chain: list[Operator] = [("image", 3, ()), ("conv", 9, (0,)), ("add", 9, (0, 1))]
    assert reorder(chain) == (None, 3 + 9 + 9)


def test_an_operator_that_frees_more_than_it_writes_waits_where_it_raises_the_peak() -> None:
    operators: list[Operator] = [
        ("conv", 20, ()), ("conv", 16, (0,)), ("conv", 14, (0,)), ("conv", 18, (2,)),
        ("conv", 18, (0, 1)), ("conv", 5, (1, 4)), ("conv", 18, (2, 3, 5)),
    ]  # fmt: skip
    assert reorder(operators).peak == min(
        compute_peak(operators, order) for order in list_orders(operators)
    )
