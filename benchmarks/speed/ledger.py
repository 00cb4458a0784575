"""What a search spends its time on, in an earlier commit and in the present one.

    python -m benchmarks.speed.ledger 4680a61 [--rounds 2] > benchmarks/speed/ledger.txt

The search of ``make search``, by the files of each commit in turn, all with the packages that are
installed. Times are medians. The ratio is of the wall time to the time that the candidates' steady
epochs take: training and evaluation, without what is traced before the first.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cnnsearch.utils.environment import describe_device

ROOT = Path(__file__).parents[2]
STEADY = ("train", "evaluate")


def call(source: Path, folder: Path, *arguments: str) -> str:
    """Returns what a command of the commit in a folder prints."""
    command = [sys.executable, "-m", "cnnsearch", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def measure(source: Path, trials: int) -> dict[str, float]:
    """Returns the seconds of a search, by activity and in all."""
    with tempfile.TemporaryDirectory() as folder:
        call(source, Path(folder), "search", "tiny", "--name", "first", "--trials", str(trials))
        found = json.loads(call(source, Path(folder), "results", "first", "--time", "--json"))
    return {**found["seconds"], "all": found["wall"]}


def compute_medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Returns the median of each activity's seconds."""
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def compute_ratio(seconds: Mapping[str, float]) -> float:
    """Returns the wall time in times that of steady epochs."""
    return seconds["all"] / sum(seconds[name] for name in STEADY)


def main() -> None:
    """Prints a line for each activity."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=12)
    asked = parser.parse_args()
    names = {"before": asked.commit, "now": "HEAD"}
    git = ["git", "-C", str(ROOT)]
    with tempfile.TemporaryDirectory() as folder:
        sources = {name: Path(folder, name) for name in names}
        for name, source in sources.items():
            source.mkdir()
            archive = subprocess.run(
                [*git, "archive", names[name]], check=True, stdout=subprocess.PIPE
            )
            subprocess.run(["tar", "-x", "-C", source], input=archive.stdout, check=True)
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in range(asked.rounds):
            for name, source in sources.items():
                rounds[name].append(measure(source, asked.trials))
    before, now = (compute_medians(rounds[name]) for name in names)
    print(f"{describe_device()}, median of {asked.rounds} rounds; seconds of a search of")
    print(f"{asked.trials} candidates of tiny on digits; before: {asked.commit}")
    print(f"{'activity':<12}{'before':>9}{'now':>9}")
    for activity in now:
        print(f"{activity:<12}{before.get(activity, 0):>9.1f}{now[activity]:>9.1f}")
    ratios = {name: [compute_ratio(each) for each in rounds[name]] for name in names}
    print("wall time to that of steady epochs, each round:")
    for name, each in ratios.items():
        print(f"{name:<12}" + "".join(f"{ratio:>9.2f}" for ratio in each))


if __name__ == "__main__":
    main()
