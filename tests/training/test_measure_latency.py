"""The script that measures latency, here and on devices."""

import ast
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from cnnsearch.training import measure_latency
from cnnsearch.training.measure_latency import FEWEST, Latency, find_rank, measure, summarize

RUNTIMES = {"numpy", "onnxruntime"}


@pytest.mark.parametrize("count", [2, 5, 6, 30, 45, 101, 1000, 20001])
def test_the_interval_is_the_narrowest_that_covers_the_median_with_95_percent(count: int) -> None:
    rank = find_rank(count)
    inside = binom.cdf(count - 1 - rank, count, 0.5) - binom.cdf(rank, count, 0.5)
    narrower = binom.cdf(count - 2 - rank, count, 0.5) - binom.cdf(rank + 1, count, 0.5)
    assert rank == 0 or inside >= 0.95
    assert narrower < 0.95


def test_the_interval_covers_the_median_of_a_skewed_distribution() -> None:
    rng = np.random.default_rng(0)
    found = [summarize(list(rng.lognormal(0.0, 1.0, 51))) for _ in range(1000)]
    covered = sum(each.low <= 1000.0 <= each.high for each in found) / 1000
    assert 0.945 < covered < 0.99


def test_a_steady_function_is_measured_with_the_fewest_calls() -> None:
    found = measure(lambda: time.sleep(0.004))
    assert 4.0 <= found.median < 40.0
    assert found.low <= found.median <= found.high
    assert found.calls >= FEWEST


def test_the_time_is_bounded_and_an_unknown_median_is_said() -> None:
    pauses = itertools.cycle((0.0, 0.02))

    def call() -> None:
        time.sleep(next(pauses))

    since = time.monotonic()
    found = measure(call, seconds=0.3)
    assert time.monotonic() - since < 5.0
    assert not found.is_precise
    assert Latency(1.0, 0.98, 1.02, 30).is_precise


def test_the_script_needs_nothing_but_numpy_and_a_runtime() -> None:
    tree = ast.parse(Path(measure_latency.__file__).read_text("utf-8"), feature_version=(3, 9))
    names = {
        (each.module if isinstance(each, ast.ImportFrom) else alias.name or "")
        for each in ast.walk(tree)
        if isinstance(each, ast.Import | ast.ImportFrom)
        for alias in each.names
    }
    roots = {str(name).partition(".")[0] for name in names}
    assert roots - RUNTIMES <= set(sys.stdlib_module_names)


def test_the_time_is_that_of_the_clock() -> None:
    now = [0.0]

    def call() -> None:
        now[0] += 0.002
        time.sleep(0.001)  # does not count

    found = measure(call, clock=lambda: now[0])
    assert found.median == pytest.approx(2.0)
    assert found.calls == FEWEST
