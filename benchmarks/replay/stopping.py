"""Measures when ``--stop-when-enough`` ends searches on a table, and what they would have gained.

python -m benchmarks.replay.stopping --seeds 30
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.replay.replay import MemoryStore, Observer
from benchmarks.replay.tables import HERE, load_table
from cnnsearch import Budget
from cnnsearch.oracles import create_oracle
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.oracles.stopping import StopWhenEnough


def search(table_name: str, strategy: str, seed: int, most: int) -> dict[str, Any]:
    """Returns the number of evaluations and the regret at the stop, and those at the end."""
    table, observer = load_table(table_name), Observer(load_table(table_name), seed)
    check = FeasibilityCheck(table.space, Budget())
    oracle = create_oracle(
        strategy,
        table.space,
        check=check,
        store=MemoryStore(),
        max_trials=most,
        epochs=1,
        seed=seed,
    )
    stopping, found = StopWhenEnough(oracle), {}
    for _ in range(most):
        proposal = stopping.propose("worker-0") if not found else oracle.propose("worker-0")
        if not isinstance(proposal, Proposal):
            found = {"stop": len(observer.found), "at_stop": find_regret(table, observer, oracle)}
            proposal = oracle.propose("worker-0")
        oracle.complete(proposal.trial_id, observer.observe(proposal.values) / 100)
    last = find_regret(table, observer, oracle)
    return {"seed": seed, "stop": most, "at_stop": last, **found, "at_end": last}


def find_regret(table: Any, observer: Observer, oracle: Any) -> float:
    """Returns the regret of the recommended network."""
    return table.best - table.means[observer.found[int(oracle.recommend().id) - 1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", default="nas_bench_macro")
    parser.add_argument("--strategy", default="surrogate")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--out", type=Path, default=HERE / "stopping.json")
    given = parser.parse_args()
    runs = []
    for seed in range(given.seeds):
        runs.append(search(given.table, given.strategy, seed, given.evaluations))
        print(runs[-1], flush=True)
    stops = [run["stop"] for run in runs]
    found = {
        "table": given.table, "strategy": given.strategy, "seeds": given.seeds,
        "median_stop": float(np.median(stops)), "earliest": min(stops), "latest": max(stops),
        "regret_at_stop": round(float(np.mean([run["at_stop"] for run in runs])), 4),
        "regret_at_end": round(float(np.mean([run["at_end"] for run in runs])), 4),
    }  # fmt: skip
    rows = json.loads(given.out.read_text()) if given.out.exists() else {}
    rows[f"{given.table}/{given.strategy}"] = found
    given.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(found)


if __name__ == "__main__":
    main()
