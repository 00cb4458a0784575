"""All 6,561 networks of NAS-Bench-Macro have the paper's parameters and multiply-accumulates."""

import csv
from pathlib import Path

from cnnsearch import SearchSpace, count

TABLE = Path(__file__).parents[2] / "benchmarks" / "replay" / "nas_bench_macro.csv"


def test_every_network_has_the_papers_cost() -> None:
    space = SearchSpace.load("nas-bench-macro")
    with TABLE.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == space.size == 3**8
    wrong = []
    for row in rows:
        digits = zip(space.parameters, row["arch"], strict=True)
        values = {choice.name: choice.options[int(digit)] for choice, digit in digits}
        cost = count(space.decode(values).architecture)
        if (cost.params, cost.macs) != (int(row["params"]), int(row["flops"])):
            wrong.append(row["arch"])
    assert not wrong
