"""Replays searches on NAS-Bench-Macro: 6,561 trained networks, milliseconds an evaluation.

    python benchmarks/replay/replay.py --seeds 100 --evaluations 100

Each evaluation draws one of a network's three accuracies; regret is measured on their mean, in
points of accuracy, of the network with the best observation so far. Strategies run through the
oracle that searches use, on the space file that ships; Optuna's samplers (``pip install optuna``)
on the same eight choices.
"""

import argparse
import csv
import json
import platform
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch import Budget, SearchSpace
from cnnsearch.oracles import STRATEGIES, create_oracle
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.utils import environment

HERE = Path(__file__).parent
CLOSE = 0.3  # points to the best network: "found"
AT = (5, 10, 15, 20, 30, 50, 100)


@cache
def read_table() -> dict[str, tuple[float, ...]]:
    """Returns the three accuracies of each network by its digits."""
    with (HERE / "nas_bench_macro.csv").open() as file:
        return {
            row["arch"]: tuple(float(row[f"acc_{i}"]) for i in (1, 2, 3))
            for row in csv.DictReader(file)
        }


@cache
def load_space() -> SearchSpace:
    return SearchSpace.load("nas-bench-macro")


class MemoryStore:
    """Keeps an oracle's state for as long as the replay runs."""

    def load_oracle(self) -> tuple[str | None, list[str]]:
        return None, []

    def save_oracle(self, state: str, trials: Mapping[str, str], order: Mapping[str, int]) -> None:
        pass


def replay_strategy(name: str, seed: int, evaluations: int) -> list[str]:
    """Runs one of our strategies and returns the digits of what it proposed, in order."""
    space, rng = load_space(), np.random.default_rng(seed)
    check = FeasibilityCheck(space, Budget())
    oracle = create_oracle(
        name, space, check=check, store=MemoryStore(), max_trials=evaluations, epochs=1, seed=seed
    )
    found: list[str] = []
    for _ in range(evaluations):
        proposal = oracle.propose("worker-0")
        if not isinstance(proposal, Proposal):
            break
        choices = zip(space.parameters, proposal.values.values(), strict=True)
        arch = "".join(str(p.options.index(value)) for p, value in choices)
        found.append(arch)
        oracle.complete(proposal.trial_id, float(rng.choice(read_table()[arch])) / 100)
    return found


def replay_optuna(sampler: str, seed: int, evaluations: int) -> list[str]:
    """Runs one of Optuna's samplers on the same table."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made: dict[str, Callable[[], Any]] = {
        "optuna-tpe": lambda: optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True
        ),
        "optuna-nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed),
        "optuna-random": lambda: optuna.samplers.RandomSampler(seed=seed),
    }
    rng, found = np.random.default_rng(seed), []

    def evaluate(trial: Any) -> float:
        arch = "".join(str(trial.suggest_categorical(f"s{i}", [0, 1, 2])) for i in range(8))
        found.append(arch)
        return float(rng.choice(read_table()[arch]))

    study = optuna.create_study(direction="maximize", sampler=made[sampler]())
    study.optimize(evaluate, n_trials=evaluations)
    return found


def measure(task: tuple[str, int, int]) -> dict[str, Any]:
    """Replays one search; returns its regret after each evaluation, and when it was close."""
    import warnings

    warnings.simplefilter("ignore")
    name, seed, evaluations = task
    began = time.perf_counter()
    run = replay_optuna if name.startswith("optuna") else replay_strategy
    found = run(name, seed, evaluations)
    seconds = time.perf_counter() - began
    means = {arch: float(np.mean(seen)) for arch, seen in read_table().items()}
    best = max(means.values())
    rng = np.random.default_rng(seed)  # the same draws as the search saw
    observed = [float(rng.choice(read_table()[arch])) for arch in found]
    regret = [best - means[found[int(np.argmax(observed[: n + 1]))]] for n in range(len(found))]
    close = [n + 1 for n, arch in enumerate(found) if best - means[arch] <= CLOSE]
    return {"name": name, "regret": regret, "close": close[:1], "seconds": seconds}


def summarize(runs: list[dict[str, Any]], evaluations: int) -> dict[str, Any]:
    """Returns mean regret with its standard error, and the median evaluations to get close."""
    curves = np.array([run["regret"] for run in runs])
    close = [run["close"][0] if run["close"] else np.inf for run in runs]
    at = sorted({n for n in AT if n <= evaluations} | {evaluations})
    error = curves.std(axis=0, ddof=1) / np.sqrt(len(runs))
    return {
        "seeds": len(runs),
        "regret": {str(n): round(float(curves[:, n - 1].mean()), 4) for n in at},
        "standard_error": {str(n): round(float(error[n - 1]), 4) for n in at},
        "median_evaluations_to_0.3": float(np.median(close)),
        "milliseconds_per_evaluation": round(
            1000 * float(np.median([run["seconds"] for run in runs])) / evaluations, 2
        ),
    }


def plot(results: Mapping[str, Any], file: Path) -> None:
    """Draws mean regret against the number of evaluations, with two standard errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, found in results.items():
        at = [int(n) for n in found["regret"]]
        mean = np.array(list(found["regret"].values()))
        error = 2 * np.array(list(found["standard_error"].values()))
        axes.plot(at, mean, marker="o", markersize=3, label=name)
        axes.fill_between(at, mean - error, mean + error, alpha=0.15)
    axes.set(xscale="log", yscale="log", xlabel="networks evaluated", xticks=AT, xticklabels=AT)
    axes.set_ylabel("regret (points of accuracy)")
    axes.minorticks_off()
    axes.set_yticks([0.05, 0.1, 0.2, 0.5, 1.0], ["0.05", "0.1", "0.2", "0.5", "1"])
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(file, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ours = [s.name for s in STRATEGIES if s.is_randomized and not s.multi_fidelity]
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--strategies", nargs="+", default=[*ours, "optuna-tpe", "optuna-nsga2"])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "nas_bench_macro.json")
    given = parser.parse_args()
    results: dict[str, Any] = {}
    with ProcessPoolExecutor(given.jobs) as pool:
        for name in given.strategies:
            tasks = [(name, seed, given.evaluations) for seed in range(given.seeds)]
            results[name] = summarize(list(pool.map(measure, tasks)), given.evaluations)
            print(f"{name:16} {json.dumps(results[name])}", flush=True)
    facts = {"environment": environment.describe_environment(), "machine": platform.processor()}
    given.out.write_text(json.dumps({**facts, "results": results}, indent=1) + "\n")
    plot(results, given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
