"""Replays searches on a table of learning curves, in simulated epochs and seconds.

    python -m benchmarks.replay.curves --seeds 50 --epochs 360

The table (``make_table.py``) has one training of each candidate: its validation accuracy after
every epoch and what an epoch took. A candidate scores its best epoch so far, as in a search. Regret
is the full-length accuracy of the network that would be recommended, below that of the best of the
table, in points.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks.replay import curve_peers
from benchmarks.replay.replay import MemoryStore
from benchmarks.replay.tables import HERE
from cnnsearch import Budget, SearchSpace
from cnnsearch.oracles import create_oracle
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.protocol import Feasibility, Proposal

STRATEGIES = (
    "random", "evolution", "surrogate", "hyperband", "asha", "pasha", *curve_peers.PEERS
)  # fmt: skip
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Of the epochs, at which regret is reported."""


@dataclass(frozen=True)
class Curves:
    """Candidates that were trained, with their curves.

    Attributes:
        space: That they are of.
        candidates: By :func:`make_key`.
        epochs: Of a full training.
    """

    space: SearchSpace
    candidates: Mapping[str, Any]
    epochs: int

    @classmethod
    def load(cls, file: Path) -> Self:
        data = json.loads(file.read_text())
        found = {make_key(row["values"]): row for row in data["candidates"]}
        epochs = max(len(row["val_accuracy"]) for row in found.values())
        return cls(SearchSpace.load(file.with_suffix(".yaml")), found, epochs)

    def check(self, values: Mapping[str, Any]) -> Feasibility:
        """Returns the feasibility: a candidate that was not trained is over the budget."""
        found = FeasibilityCheck(self.space, Budget())(values)
        if make_key(values) in self.candidates:
            return found
        return Feasibility(False, "budget", found.identify, found.cost, found.size)

    def score(self, values: Mapping[str, Any], epochs: int | None = None) -> float:
        """Returns the best accuracy of the first epochs; None: of all."""
        return float(max(self.candidates[make_key(values)]["val_accuracy"][:epochs]))

    def get_seconds(self, values: Mapping[str, Any]) -> float:
        """Returns the seconds of an epoch."""
        return float(self.candidates[make_key(values)]["epoch_seconds"])


def make_key(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), sort_keys=True)


def search(curves: Curves, strategy: str, seed: int, budget: int) -> list[tuple[int, float, float]]:
    """Returns epochs and seconds spent, and the regret, after each training of one search."""
    if strategy in curve_peers.PEERS:
        return curve_peers.search(curves, strategy, seed, budget)
    oracle = create_oracle(
        strategy, curves.space, check=curves.check, store=MemoryStore(),
        max_trials=len(curves.candidates), epochs=curves.epochs, seed=seed,
    )  # fmt: skip
    best = max(curves.score(row["values"]) for row in curves.candidates.values())
    epochs, seconds, found = 0, 0.0, []
    while epochs < budget and isinstance(proposal := oracle.propose("worker-0"), Proposal):
        trained = proposal.epochs - proposal.initial_epoch
        epochs += trained
        seconds += trained * curves.get_seconds(proposal.values)
        oracle.complete(proposal.trial_id, curves.score(proposal.values, proposal.epochs))
        chosen = oracle.recommend()
        if chosen is not None:
            found.append((epochs, seconds, 100 * (best - curves.score(chosen.values))))
    return found


def average(runs: list[list[tuple[int, float, float]]], column: int, at: list[float]) -> Any:
    """Returns regrets of searches (seeds, points) at epochs (column 0) or seconds (1)."""
    rows = []
    for run in runs:
        places = np.searchsorted([step[column] for step in run], at, side="right") - 1
        rows.append([run[place][2] if place >= 0 else np.nan for place in places])
    return np.array(rows)


def find_share(curve: Any, goal: float) -> float | None:
    """Returns the share of the points after which a mean regret stays at most ``goal``."""
    above = [number for number, regret in enumerate(curve) if not regret <= goal]
    first = above[-1] + 1 if above else 0
    return round((first + 1) / len(curve), 3) if first < len(curve) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, default=HERE / "own_table.json")
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=360)
    parser.add_argument("--out", type=Path, default=HERE / "curves.json")
    given = parser.parse_args()
    curves = Curves.load(given.table)
    runs = {
        name: [search(curves, name, seed, given.epochs) for seed in range(given.seeds)]
        for name in given.strategies
    }
    seconds = float(np.median([run[-1][1] for run in runs["random"]]))
    scales = {"epochs": (0, float(given.epochs)), "seconds": (1, seconds)}
    results: dict[str, Any] = {name: {} for name in runs}
    for unit, (column, end) in scales.items():
        at = [end * (n + 1) / 100 for n in range(100)]
        means = {name: np.mean(average(found, column, at), axis=0) for name, found in runs.items()}
        for name, found in runs.items():
            spread = np.std(average(found, column, at), axis=0, ddof=1) / len(found) ** 0.5
            picked = [round(100 * share) - 1 for share in SHARES]
            results[name][unit] = {
                "regret": {
                    str(s): _round(means[name][i]) for s, i in zip(SHARES, picked, strict=True)
                },
                "standard_error": {
                    str(s): _round(spread[i]) for s, i in zip(SHARES, picked, strict=True)
                },
                "share_to_reach_random": find_share(means[name], means["random"][-1]),
            }
        print(unit, round(end), {n: r[unit] for n, r in results.items()}, flush=True)
    facts = {"candidates": len(curves.candidates), "seeds": given.seeds, "epochs": given.epochs}
    given.out.write_text(
        json.dumps({**facts, "seconds": seconds, "results": results}, indent=1) + "\n"
    )


def _round(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 3)


if __name__ == "__main__":
    main()
