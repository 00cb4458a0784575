"""Searches against their peers in equal time: test accuracy at the end, final training included.

    python benchmarks/peers/peers.py --space tiny --data digits --minutes 5 --seeds 3
    python benchmarks/cifar_subset.py ../shared/data/cifar10/train.zip cifar --each 480
    python benchmarks/peers/peers.py --space mixed --data cifar --max-macs 20M --minutes 20
    python benchmarks/peers/peers.py --summary

One contender runs at a time, in a process of its own with the same number of cores; the time counts
from the start of that process to its test accuracy. Contenders alternate within a seed, because
machines are shared. Each result is a line of ``--out`` as soon as it is there; what is there
already is not run again, so that the same command continues after an interruption.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from scipy.stats import ttest_1samp

from cnnsearch.utils.environment import describe_environment
from cnnsearch.utils.units import parse_amount

HERE = Path(__file__).parent
CONTENDERS = (
    "cnnsearch", "cnnsearch-init", "cnnsearch-random", "plain", "resnet-20",
    "keras-tuner-random", "keras-tuner-hyperband", "keras-tuner-bayesian", "plain-keras", "optuna",
    "keras-tuner-hyperresnet", "autokeras",
)  # fmt: skip
OURS = "cnnsearch"
KEYS = ("space", "data", "minutes", "max_macs", "max_params", "cores", "contender", "seed")
"""What a result is of; a second one of the same is not made."""


def read_results(path: Path) -> list[dict[str, Any]]:
    """Returns the results so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def identify(result: dict[str, Any]) -> tuple[Any, ...]:
    """Returns what a result is of."""
    return tuple(result[key] for key in KEYS)


def run(what: dict[str, Any], data: str) -> dict[str, Any] | None:
    """Runs one contender; None: it failed, and its last line says why."""
    command = [sys.executable, str(HERE / "contenders.py"), what["contender"], "--data", data]
    for key in ("space", "seed", "cores", "max_macs", "max_params"):
        if what[key] is not None:
            command += [f"--{key.replace('_', '-')}", str(what[key])]
    command += ["--seconds", str(60 * what["minutes"]), "--started", str(time.time())]
    paths = os.pathsep.join(filter(None, (str(HERE.parents[1]), os.environ.get("PYTHONPATH"))))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": paths}
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **quiet}, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"{what['contender']}, seed {what['seed']}: failed: {reason}", flush=True)
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compete(asked: argparse.Namespace) -> None:
    """Runs every contender with every seed that is not in the file yet."""
    machine = describe_environment()
    for seed in range(asked.seeds):
        for contender in asked.contenders:
            what = {
                "space": asked.space, "data": Path(asked.data).name, "minutes": asked.minutes,
                "max_macs": asked.max_macs, "max_params": asked.max_params, "cores": asked.cores,
                "contender": contender, "seed": seed,
            }  # fmt: skip
            if identify(what) in map(identify, read_results(asked.out)):
                continue
            found = run(what, asked.data)
            if found is None:
                continue
            with asked.out.open("a") as out:
                out.write(json.dumps({**what, **found, "machine": machine}) + "\n")
            accuracy, seconds = found["test_accuracy"], found["seconds"]
            print(f"{contender}, seed {seed}: {accuracy:.2%} in {seconds:.0f} s", flush=True)


def summarize(results: list[dict[str, Any]]) -> None:
    """Prints mean and standard deviation over the seeds, by task and contender."""
    tasks: dict[tuple[Any, ...], dict[str, list[dict[str, Any]]]] = {}
    for one in results:
        contenders = tasks.setdefault(identify(one)[:-2], defaultdict(list))
        contenders[one["contender"]].append(one)
    for task, contenders in tasks.items():
        print(", ".join(f"{k} {v}" for k, v in zip(KEYS, task, strict=False) if v is not None))
        print(
            f"{'contender':<24}{'test':>8}{'std':>7}{'seeds':>7}{'cands':>7}{'MACs':>8}{'time':>7}"
            f"  {OURS} is ahead by"
        )
        means = {
            name: statistics.mean(r["test_accuracy"] for r in rs) for name, rs in contenders.items()
        }
        for name in sorted(means, key=lambda name: -means[name]):
            found = contenders[name]
            accuracies = [one["test_accuracy"] for one in found]
            spread = statistics.stdev(accuracies) if len(found) > 1 else 0.0
            cands, macs, seconds = (
                statistics.mean(one[key] for one in found)
                for key in ("candidates", "macs", "seconds")
            )
            ahead = compare(contenders[OURS], found, "test_accuracy")
            print(
                f"{name:<24}{means[name]:>8.2%}{100 * spread:>7.2f}{len(found):>7}{cands:>7.1f}"
                f"{macs / 1e6:>7.1f}M{seconds:>6.0f}s  {ahead}"
            )


def compare(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], key: str = "accuracy") -> str:
    """Returns how many points ours is ahead, with a 95 % interval over the seeds of both."""
    seeds = {one["seed"]: one[key] for one in theirs}
    gains = [100 * (one[key] - seeds[one["seed"]]) for one in ours if one["seed"] in seeds]
    if ours is theirs or not gains:
        return ""
    if len(gains) < 2:
        return f"{gains[0]:+.2f} (one seed)"
    low, high = ttest_1samp(gains, 0.0).confidence_interval()
    verdict = "" if low > 0 or high < 0 else ": not beyond it"
    return f"{statistics.mean(gains):+.2f} (95 % interval {low:+.2f} to {high:+.2f}{verdict})"


def main() -> None:
    """Runs what is missing, and prints the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="tiny")
    parser.add_argument("--data", default="digits", help="name or folder")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--contenders", nargs="+", default=CONTENDERS, choices=CONTENDERS)
    parser.add_argument("--max-macs", type=lambda text: parse_amount(text, "--max-macs"))
    parser.add_argument("--max-params", type=lambda text: parse_amount(text, "--max-params"))
    parser.add_argument("--out", type=Path, default=HERE / "results.jsonl")
    parser.add_argument("--summary", action="store_true", help="run nothing")
    asked = parser.parse_args()
    if not asked.summary:
        compete(asked)
    summarize(read_results(asked.out))


if __name__ == "__main__":
    main()
