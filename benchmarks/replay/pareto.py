"""Replays searches for accuracy and MACs on NAS-Bench-Macro, beside Optuna's samplers.

    python -m benchmarks.replay.pareto --seeds 30 --evaluations 100

Each evaluation draws one of a network's three accuracies; the hypervolume is of the mean accuracies
and the MACs of the networks evaluated so far, as a share of that of the table's own Pareto front.
Reference point: 85 % accuracy, and the MACs of the largest network of the table.
"""

import argparse
import csv
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.replay.replay import MemoryStore
from benchmarks.replay.tables import HERE, load_table
from cnnsearch import Budget
from cnnsearch.oracles import create_oracle
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.training.objectives.front import Point, compute_hypervolume
from cnnsearch.utils import environment

LEAST = 85.0  # percent; accuracy of the reference point
AT = (12, 20, 50, 100)
OURS = ("pareto", "evolution", "random")
OPTUNA = ("optuna-nsga2", "optuna-nsga2-10", "optuna-tpe")


@cache
def read_macs() -> dict[str, int]:
    """Returns the multiply-accumulates of each network by its digits."""
    with (HERE / "nas_bench_macro.csv").open() as file:
        return {row["arch"]: int(float(row["flops"])) for row in csv.DictReader(file)}


def locate(arch: str) -> Point:
    """Returns a network's mean accuracy and its MACs, negated."""
    return float(np.mean(load_table("nas_bench_macro").accuracies[arch])), -float(read_macs()[arch])


def measure_volume(found: list[str]) -> float:
    """Returns the hypervolume of networks."""
    return compute_hypervolume([locate(a) for a in found], (LEAST, -max(read_macs().values())))


@cache
def measure_best_volume() -> float:
    """Returns the hypervolume of the table's Pareto front."""
    front: list[str] = []
    for arch in sorted(
        load_table("nas_bench_macro").accuracies, key=lambda a: (read_macs()[a], -locate(a)[0])
    ):
        if not front or locate(arch)[0] > locate(front[-1])[0]:
            front.append(arch)
    return measure_volume(front)


def replay_ours(name: str, seed: int, evaluations: int) -> list[str]:
    """Runs one of our strategies and returns the digits of what it proposed, in order."""
    space, rng = load_table("nas_bench_macro").space, np.random.default_rng(seed)
    oracle = create_oracle(
        name, space, check=FeasibilityCheck(space, Budget()), store=MemoryStore(),
        max_trials=evaluations, epochs=1, seed=seed,
    )  # fmt: skip
    found: list[str] = []
    while isinstance(proposal := oracle.propose("worker-0"), Proposal):
        choices = zip(space.parameters, proposal.values.values(), strict=True)
        found.append("".join(str(p.options.index(value)) for p, value in choices))
        oracle.complete(
            proposal.trial_id,
            float(rng.choice(load_table("nas_bench_macro").accuracies[found[-1]])) / 100,
        )
    return found


def replay_optuna(name: str, seed: int, evaluations: int) -> list[str]:
    """Runs one of Optuna's samplers on the same choices, with both objectives."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers = optuna.samplers
    made: dict[str, Callable[[], Any]] = {
        "optuna-nsga2": lambda: samplers.NSGAIISampler(seed=seed),
        "optuna-nsga2-10": lambda: samplers.NSGAIISampler(seed=seed, population_size=10),
        "optuna-tpe": lambda: samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True
        ),
    }
    rng, found = np.random.default_rng(seed), []

    def evaluate(trial: Any) -> tuple[float, float]:
        arch = "".join(str(trial.suggest_categorical(f"s{i}", [0, 1, 2])) for i in range(8))
        found.append(arch)
        return float(rng.choice(load_table("nas_bench_macro").accuracies[arch])), float(
            read_macs()[arch]
        )

    study = optuna.create_study(directions=["maximize", "minimize"], sampler=made[name]())
    study.optimize(evaluate, n_trials=evaluations)
    return found


def measure(task: tuple[str, int, int]) -> list[float]:
    """Replays one search; returns its share of the best hypervolume after ``AT`` evaluations."""
    import warnings

    warnings.simplefilter("ignore")
    name, seed, evaluations = task
    found = (replay_optuna if name in OPTUNA else replay_ours)(name, seed, evaluations)
    return [measure_volume(found[:n]) / measure_best_volume() for n in AT if n <= evaluations]


def summarize(shares: list[list[float]]) -> dict[str, Any]:
    """Returns mean and standard error of the hypervolume."""
    mean, error = np.mean(shares, axis=0), np.std(shares, axis=0, ddof=1) / len(shares) ** 0.5
    keys = [str(n) for n in AT[: len(mean)]]
    return {
        "seeds": len(shares),
        "hypervolume": dict(zip(keys, np.round(mean, 4).tolist(), strict=True)),
        "standard_error": dict(zip(keys, np.round(error, 4).tolist(), strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--strategies", nargs="+", default=[*OURS, *OPTUNA])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "pareto.json")
    given = parser.parse_args()
    results: dict[str, Any] = {}
    with ProcessPoolExecutor(given.jobs) as pool:
        for name in given.strategies:
            tasks = [(name, seed, given.evaluations) for seed in range(given.seeds)]
            results[name] = summarize(list(pool.map(measure, tasks)))
            print(f"{name:16} {json.dumps(results[name])}", flush=True)
    facts = {"environment": environment.describe_environment(), "reference_accuracy": LEAST}
    given.out.write_text(json.dumps({**facts, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
