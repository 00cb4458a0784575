"""Measures how long a suggestion takes once many trials are finished: CPU time of this thread.

    OMP_NUM_THREADS=1 python -m benchmarks.replay.suggestion_time --out suggestion_time.json

The finished trials are random candidates of ``mixed`` within 20M MACs with random scores.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.replay.replay import MemoryStore
from cnnsearch import Budget, SearchSpace
from cnnsearch.oracles import create_oracle, find_strategy
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.search_oracle import SearchOracle
from cnnsearch.utils import environment

MACS = 20_000_000


def fill(oracle: SearchOracle, finished: int) -> None:
    """Completes random candidates, whatever the oracle's strategy is."""
    strategy, oracle._strategy = oracle._strategy, find_strategy("random")()
    rng = Random(0)
    for _ in range(finished):
        oracle.complete(oracle.propose("worker-0").trial_id, rng.random())  # type: ignore[union-attr]
    oracle._strategy = strategy


def measure(strategy: str, finished: int, repeats: int) -> dict[str, Any]:
    """Returns the milliseconds of a suggestion: the median and the shortest."""
    space, rng = SearchSpace.load("mixed"), Random(1)
    check = FeasibilityCheck(space, Budget(max_macs=MACS))
    oracle = create_oracle(
        strategy, space, check=check, store=MemoryStore(), max_trials=None, epochs=1, seed=0
    )
    fill(oracle, finished)
    taken = []
    for _ in range(repeats + 1):
        began = time.thread_time()
        proposal = oracle.propose("worker-0")
        taken.append(1000 * (time.thread_time() - began))
        oracle.complete(proposal.trial_id, rng.random())  # type: ignore[union-attr]
    del taken[0]  # imports, and the first draws of the search
    return {
        "strategy": strategy,
        "finished": finished,
        "median_ms": round(statistics.median(taken), 1),
        "shortest_ms": round(min(taken), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strategies", nargs="+", default=["surrogate", "evolution", "random"])
    parser.add_argument("--finished", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    rows = [measure(s, n, given.repeats) for s in given.strategies for n in given.finished]
    facts = {"environment": environment.describe_environment(), "space": "mixed", "macs": MACS}
    given.out.write_text(json.dumps({**facts, "results": rows}, indent=1) + "\n")
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
