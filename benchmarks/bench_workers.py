"""What processes cost and what a second worker brings: candidates an hour, from the journal.

The same candidates (random search of ``tiny`` on digits, one seed) are searched in turn

- in one process (``--workers 0``),
- by forked processes, one at a time (``--workers 1``),
- by one worker on one core, and
- by two workers on two cores, so that a candidate uses one core in both,

again and again, interleaved, because machines are shared. The time counts from the start of the
first candidate to the end of the last: what starts up before is the same for all.

    python benchmarks/bench_workers.py [--trials 8] [--epochs 10] [--rounds 3]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from cnnsearch.runs.directory import RunDirectory
from cnnsearch.utils.environment import configure_backend, describe_device

WAYS = {
    "one process": (2, 0),
    "forked processes, one worker": (2, 1),
    "one worker, one core": (1, 1),
    "two workers, two cores": (2, 2),
}
"""Cores and workers of each way."""


def seconds(root: Path, name: str, cores: int, workers: int, trials: int, epochs: int) -> float:
    """Searches; returns the seconds from the first candidate's start to the last one's end."""
    there = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "cnnsearch", "search", "tiny", "--strategy", "random"]
    asked = {"trials": trials, "epochs": epochs, "workers": workers, "name": name, "runs": root}
    for key, value in asked.items():
        command += [f"--{key}", str(value)]
    subprocess.run(
        [*command, "--quiet"],
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, there[:cores]),
    )
    run = RunDirectory.open(root, name)
    found = run.db.get_trials()
    if len(found) != trials or any(trial.status != "completed" for trial in found):
        raise SystemExit(f"{name}: not all candidates were completed")
    return max(t.ended or 0.0 for t in found) - min(t.started for t in found)


def main() -> None:
    """Runs the rounds and prints medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("needs two cores")
    configure_backend()
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.rounds):
            for index, (way, (cores, workers)) in enumerate(WAYS.items()):
                name = f"r{number}-{index}"
                found = seconds(Path(folder), name, cores, workers, asked.trials, asked.epochs)
                took[way].append(found)
    what = f"{asked.trials} candidates of {asked.epochs} epochs, {asked.rounds} rounds"
    print(f"{what}, {describe_device()}")
    for way, times in took.items():
        hourly = 3600 * asked.trials / statistics.median(times)
        each = " ".join(f"{time:.1f}" for time in times)
        print(f"{way:<30} {hourly:6.0f} candidates an hour   (seconds: {each})")
    for what, one, other in (
        ("forked processes against one process", "one process", "forked processes, one worker"),
        ("two workers against one, a core each", "one worker, one core", "two workers, two cores"),
    ):
        ratios = [a / b for a, b in zip(took[one], took[other], strict=True)]
        each = " ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{what}: {statistics.median(ratios):.2f} times as fast   (rounds: {each})")


if __name__ == "__main__":
    main()
