"""Replays ``surrogate`` with expected improvement divided by a power of the predicted seconds.

    python -m benchmarks.replay.gain_per_second --seeds 40

On the table of ``curves.py``, in simulated seconds of full trainings. Seconds are predicted as in a
search, from the candidates trained so far. Regret is that of the best candidate so far, in points.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.replay.curves import Curves, make_key
from benchmarks.replay.replay import MemoryStore
from benchmarks.replay.tables import HERE
from cnnsearch.engine import training_time
from cnnsearch.oracles import create_oracle, surrogate
from cnnsearch.oracles.protocol import Feasibility, Proposal

POWERS = (0.0, 0.25, 0.5, 1.0)
TRAININGS = 16  # of median duration, that fit into the time
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)  # of the time, at which regret is reported
IMAGES = (2500, 1000)  # for training and validation; only their ratio matters
UNTRAINED = 100.0  # regret before the first candidate is trained: points of accuracy
LONGEST = 98  # percentile that longer durations are cut to: the machine was busy with other work


class Clock:
    """Durations of the table's trainings, and what is predicted for them.

    Args:
        curves: The table.
    """

    def __init__(self, curves: Curves) -> None:
        self._curves = curves
        self._feasible: dict[str, Feasibility] = {}
        self.model: training_time.TrainingTime | None = None

    @cached_property
    def terms(self) -> dict[str, training_time.Terms]:
        curves = self._curves
        return {
            key: training_time._list_terms(
                curves.space.decode(row["values"]), curves.epochs, *IMAGES
            )
            for key, row in curves.candidates.items()
        }

    @cached_property
    def seconds(self) -> dict[str, float]:
        rows = self._curves.candidates
        longest = np.percentile([row["epoch_seconds"] for row in rows.values()], LONGEST)
        return {
            key: self._curves.epochs * float(min(row["epoch_seconds"], longest))
            for key, row in rows.items()
        }

    def check(self, values: Mapping[str, Any]) -> Feasibility:
        key = make_key(values)
        if key not in self._feasible:
            self._feasible[key] = self._curves.check(values)
        return self._feasible[key]

    def learn(self, trained: list[str]) -> None:
        known = [(self.terms[key], self.seconds[key]) for key in trained]
        self.model = training_time.TrainingTime.fit_terms(known)


def search(curves: Curves, clock: Clock, power: float, seed: int, end: float) -> Any:
    """Returns the regrets of one search after shares of the time."""
    clock.learn([])
    plain, expect = surrogate._Model, surrogate._Model.expect_improvement

    def weigh(self: Any, pool: Any, macs: Any = None) -> Any:
        gain = expect(self, pool, macs)
        if macs is None or clock.model is None:  # not yet known to be in the table
            return gain
        return (
            gain / np.array([clock.model.multiply(clock.terms[make_key(v)]) for v in pool]) ** power
        )

    plain.expect_improvement = weigh
    try:
        steps = list(train(curves, clock, seed, end))
    finally:
        plain.expect_improvement = expect
    places = np.searchsorted([s for s, _ in steps], [end * s for s in SHARES], side="right") - 1
    best = max(curves.score(row["values"]) for row in curves.candidates.values())
    return [100 * (best - steps[n][1]) if n >= 0 else UNTRAINED for n in places]


def train(curves: Curves, clock: Clock, seed: int, end: float) -> Iterator[tuple[float, float]]:
    """Yields seconds and the best score after each training that ends in time."""
    oracle = create_oracle(
        "surrogate", curves.space, check=clock.check, store=MemoryStore(),
        max_trials=len(curves.candidates), epochs=curves.epochs, seed=seed,
    )  # fmt: skip
    spent, best, trained = 0.0, 0.0, list[str]()
    while isinstance(proposal := oracle.propose("worker-0"), Proposal):
        trained.append(make_key(proposal.values))
        spent += clock.seconds[trained[-1]]
        if spent > end:
            return
        score = curves.score(proposal.values)
        oracle.complete(proposal.trial_id, score)
        clock.learn(trained)
        best = max(best, score)
        yield spent, best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    given = parser.parse_args()
    curves = Curves.load(HERE / "own_table.json")
    clock, seeds = Clock(curves), range(given.seeds)
    end = TRAININGS * float(np.median(list(clock.seconds.values())))
    runs = {p: np.array([search(curves, clock, p, s, end) for s in seeds]) for p in POWERS}
    results = {
        str(power): {
            "regret": found.mean(axis=0).round(3).tolist(),
            "difference": (found - runs[0.0]).mean(axis=0).round(3).tolist(),
            "half_interval": _halve(found - runs[0.0]),
        }
        for power, found in runs.items()
    }
    facts = {"seeds": given.seeds, "shares": SHARES, "seconds": round(end, 1)}
    text = json.dumps({**facts, "results": results}, indent=1)
    print(text)
    (HERE / "gain_per_second.json").write_text(text + "\n")


def _halve(differences: Any) -> list[float]:
    """Returns half the 95 % interval of the mean, by the standard error of paired differences."""
    spread = differences.std(axis=0, ddof=1) / len(differences) ** 0.5
    return [round(1.96 * float(each), 3) for each in spread]


if __name__ == "__main__":
    main()
