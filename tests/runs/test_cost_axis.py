"""Ticks of the axes of figures of accuracy against a cost."""

import random

from cnnsearch.runs.cost_axis import choose_ticks


def test_every_range_has_ticks_but_not_too_many() -> None:
    rng = random.Random(0)
    for _ in range(5000):
        low = 10 ** rng.uniform(0, 9)
        high = low * 10 ** rng.uniform(0.001, 4)
        most = rng.randint(3, 8)
        ticks = choose_ticks(low, high, most)
        assert len(ticks) <= most
        assert all(low <= tick * (1 + 1e-9) and tick <= high * (1 + 1e-9) for tick in ticks)
    assert choose_ticks(265_487, 1_083_212, 5) == [500_000, 1_000_000]
