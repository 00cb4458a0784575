r"""Few real trials by the default strategy and by random: the best validation accuracy.

    python benchmarks/peers/few_trials.py --seeds 0 1 2
    python benchmarks/peers/few_trials.py --space mixed --data FOLDER --trials 20 --epochs 4 \
        --max-macs 5M --out benchmarks/peers/twenty_trials.jsonl --seeds 0 1 2

Neither trains the baseline. Each search is a line of ``--out`` as soon as it ended; the difference
is printed with its 95 % interval over the seeds.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from peers import compare

import cnnsearch

TWELVE = Path(__file__).with_name("twelve_trials.jsonl")


def search(strategy: str, seed: int, given: argparse.Namespace) -> list[float]:
    """Returns the validation accuracies of a search's candidates, in order."""
    with tempfile.TemporaryDirectory() as runs:
        found = cnnsearch.search(
            given.space, given.data, strategy=strategy, trials=given.trials, epochs=given.epochs,
            max_macs=given.max_macs, baseline="none", seed=seed, runs=runs, name="r", workers=0,
        )  # fmt: skip
        return [trial.score for trial in found.trials if trial.score is not None]


def summarize(out: Path) -> str:
    """Returns by how many points the best of auto is ahead of the best of random."""
    best: dict[str, list[dict[str, Any]]] = {"auto": [], "random": []}
    for one in map(json.loads, out.read_text().splitlines()):
        best[one["strategy"]].append({"seed": one["seed"], "accuracy": max(one["scores"])})
    return f"auto is ahead of random by {compare(best['auto'], best['random'])}"


def main() -> None:
    """Runs the searches, and prints the summary of all so far."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--space", default="tiny")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, help="of a candidate; else the space's")
    parser.add_argument("--max-macs")
    parser.add_argument("--out", type=Path, default=TWELVE)
    parser.add_argument("--core", type=int, help="one core alone")
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    for seed in given.seeds:
        for strategy in ("auto", "random"):
            scores = search(strategy, seed, given)
            with given.out.open("a") as out:
                out.write(json.dumps({"seed": seed, "strategy": strategy, "scores": scores}) + "\n")
    print(summarize(given.out))


if __name__ == "__main__":
    main()
