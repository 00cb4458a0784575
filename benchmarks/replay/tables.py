"""Tables of trained networks: every point of a space, with the accuracies of its trainings."""

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch import SearchSpace
from cnnsearch.oracles.points import Values, is_active

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Table:
    """A finite space of choices whose networks are all trained.

    Attributes:
        name: Of the result files.
        space: Whose parameters are all choices.
        accuracies: Percentages by :meth:`find_key`, one a training.
    """

    name: str
    space: SearchSpace
    accuracies: Mapping[str, tuple[float, ...]]

    def find_key(self, values: Mapping[str, Any]) -> str:
        """Returns the places of a candidate's options, ``-`` where a parameter is inactive."""
        parameters = self.space.parameters
        return "".join(
            str(p.options.index(values[p.name])) if p.name in values else "-" for p in parameters
        )

    def choose(self, choose: Callable[[Any], int]) -> Values:
        """Returns a candidate, as :func:`choose_values` does."""
        return choose_values(self.space, choose)

    @cached_property
    def means(self) -> dict[str, float]:
        """The mean accuracy of each network, which regret is measured on."""
        return {key: float(np.mean(seen)) for key, seen in self.accuracies.items()}

    @cached_property
    def best(self) -> float:
        """The highest mean accuracy."""
        return max(self.means.values())


def choose_values(space: SearchSpace, choose: Callable[[Any], int]) -> Values:
    """Returns a candidate; ``choose`` takes a parameter and returns the place of an option."""
    values: Values = {}
    for parameter in space.parameters:
        if is_active(parameter, values):
            values[parameter.name] = parameter.options[choose(parameter)]
    return values


def _read_macro(price: float) -> dict[str, tuple[float, ...]]:
    """Reads accuracies, less ``price`` points for each doubling of the multiply-accumulates."""
    with (HERE / "nas_bench_macro.csv").open() as file:
        rows = list(csv.DictReader(file))
    costs = {row["arch"]: price * math.log2(float(row["flops"])) for row in rows}
    return {
        row["arch"]: tuple(float(row[f"acc_{i}"]) - costs[row["arch"]] for i in (1, 2, 3))
        for row in rows
    }


@cache
def load_table(name: str) -> Table:
    """Returns a table by its name.

    ``nas_bench_macro`` is the published one. In ``priced_macro`` a network loses two points of
    accuracy for each doubling of its MACs: to expect that the expensive ones win is wrong there.
    """
    prices = {"nas_bench_macro": 0.0, "priced_macro": 2.0}
    if name not in prices:
        raise SystemExit(f"--table: expected {' or '.join(prices)}, got {name!r}")
    return Table(name, SearchSpace.load("nas-bench-macro"), _read_macro(prices[name]))
