"""Replays searches on tables of trained networks: milliseconds an evaluation.

    python -m benchmarks.replay.replay --seeds 100 --evaluations 100

Each evaluation draws one of a network's accuracies; regret is measured on their mean, in points of
accuracy: of the network that cnnsearch would recommend, and of the one with the best observation,
which is what the peers return. Strategies run through the oracle that searches use. Every search is
one line of a file in ``build/replay``, so that an interrupted replay continues.
"""

import argparse
import json
import platform
import time
import warnings
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.replay.peers import PEERS
from benchmarks.replay.plot import AT, plot_regret
from benchmarks.replay.tables import HERE, Table, load_table
from cnnsearch import Budget
from cnnsearch.oracles import STRATEGIES, create_oracle
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.points import Values
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.utils import environment

CLOSE = 0.3  # points to the best network: "found"
PARTS = Path("build/replay")


def list_steps(count: int) -> list[int]:
    """Returns the numbers of evaluations after which regret is measured."""
    return sorted({n for n in AT if n <= count} | {count})


class MemoryStore:
    """Keeps an oracle's state for as long as the replay runs."""

    def load_oracle(self) -> tuple[str | None, list[str]]:
        return None, []

    def save_oracle(self, state: str, trials: Mapping[str, str], order: Mapping[str, int]) -> None:
        pass


class Observer:
    """Evaluates candidates on a table and remembers them, in order."""

    def __init__(self, table: Table, seed: int) -> None:
        self._table, self._rng = table, np.random.default_rng(seed)
        self.found: list[str] = []
        self.scores: list[float] = []

    def observe(self, values: Values) -> float:
        key = self._table.find_key(values)
        self.found.append(key)
        self.scores.append(float(self._rng.choice(self._table.accuracies[key])))
        return self.scores[-1]


def search_table(name: str, table: Table, observer: Observer, seed: int, count: int) -> list[int]:
    """Runs one of our strategies; returns which evaluation it recommends, after each of ``AT``."""
    check = FeasibilityCheck(table.space, Budget())
    oracle = create_oracle(
        name, table.space, check=check, store=MemoryStore(), max_trials=count, epochs=1, seed=seed
    )
    recommended = []
    for number in range(1, count + 1):
        proposal = oracle.propose("worker-0")
        if not isinstance(proposal, Proposal):
            break
        oracle.complete(proposal.trial_id, observer.observe(proposal.values) / 100)
        if number in list_steps(count):
            recommended.append(int(oracle.recommend().id) - 1)
    return recommended


def measure(task: tuple[str, str, int, int]) -> dict[str, Any]:
    """Replays one search; returns its regret after each of ``AT``, and when it was close."""
    warnings.simplefilter("ignore")
    name, table_name, seed, count = task
    table, began = load_table(table_name), time.process_time()
    observer = Observer(table, seed)
    recommended = None
    if name in PEERS:
        search, kind = PEERS[name]
        search(kind, table, observer.observe, seed, count)
    else:
        recommended = search_table(name, table, observer, seed, count)
    seconds = time.process_time() - began
    regret = [table.best - table.means[key] for key in observer.found]
    leaders = [int(np.argmax(observer.scores[:n])) for n in list_steps(count)]
    close = [n + 1 for n, lost in enumerate(regret) if lost <= CLOSE]
    return {
        "seed": seed,
        "evaluations": count,
        "observed": [regret[i] for i in leaders],
        "recommended": [regret[i] for i in recommended or leaders],
        "close": close[:1],
        "seconds": seconds,
    }


def replay(name: str, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Returns a strategy's searches, those left out that an earlier replay made."""
    PARTS.mkdir(parents=True, exist_ok=True)
    part = PARTS / f"{given.table}-{name}-{given.evaluations}.jsonl"
    done = [json.loads(line) for line in part.read_text().splitlines()] if part.exists() else []
    left = sorted(set(range(given.seeds)) - {run["seed"] for run in done})
    tasks = [(name, given.table, seed, given.evaluations) for seed in left]
    with ProcessPoolExecutor(given.jobs) as pool, part.open("a") as file:
        for run in pool.map(measure, tasks):
            file.write(json.dumps(run) + "\n")
            file.flush()
            done.append(run)
    return done


def summarize(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns mean regrets with standard errors, and the median evaluations to get close."""
    count = runs[0]["evaluations"]
    close = [run["close"][0] if run["close"] else np.inf for run in runs]
    milliseconds = 1000 * float(np.median([run["seconds"] for run in runs])) / count
    curves = np.array([run["recommended"] for run in runs])
    return {
        "seeds": len(runs),
        "regret": _average(curves, count),
        "standard_error": _average(curves, count, error=True),
        "regret_of_best_observation": _average(np.array([r["observed"] for r in runs]), count),
        "median_evaluations_to_0.3": float(np.median(close)),
        "cpu_milliseconds_per_evaluation": round(milliseconds, 2),
    }


def _average(curves: Any, count: int, error: bool = False) -> dict[str, float]:
    found = curves.std(axis=0, ddof=1) / len(curves) ** 0.5 if error else curves.mean(axis=0)
    return {str(n): round(float(v), 4) for n, v in zip(list_steps(count), found, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ours = [s.name for s in STRATEGIES if s.is_randomized and not s.multi_fidelity]
    parser.add_argument("--table", default="nas_bench_macro")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--strategies", nargs="+", default=[*ours, *PEERS])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, help="default: TABLE.json; strategies are added to it")
    given = parser.parse_args()
    out = given.out or HERE / f"{given.table}.json"
    for name in given.strategies:
        found = summarize(replay(name, given))
        print(f"{name:16} {json.dumps(found)}", flush=True)
        data = json.loads(out.read_text()) if out.exists() else {"results": {}}
        facts = {"environment": environment.describe_environment(), "machine": platform.machine()}
        results = {**data["results"], name: found}
        out.write_text(json.dumps({**facts, "results": results}, indent=1) + "\n")
        plot_regret(results, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
