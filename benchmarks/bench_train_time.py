"""How well training times are predicted: the later candidates of a run from its first ones.

    cnnsearch search tiny --strategy random --trials 24 --name times-tiny
    cnnsearch search mixed --data cifar5k --max-macs 20M --strategy random --trials 24 --name times
    python benchmarks/bench_train_time.py times-tiny times > benchmarks/results/train_time.txt

For each number of candidates: median and upper quartile of the relative error over all later ones.
"""

import argparse
from contextlib import closing
from pathlib import Path

import numpy as np

from cnnsearch.engine.training_time import TrainingTime
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import read_candidate
from cnnsearch.utils.environment import describe_device

FIRST = (2, 4, 6, 8, 12, 16)


def list_errors(run: RunDirectory, first: int) -> list[float]:
    """Returns the relative errors on all candidates after the ``first``."""
    images = [int(run.manifest["dataset"][split]) for split in ("train", "validation")]
    trials = [t for t in run.db.get_trials() if t.status == "completed" and t.seconds]
    model = TrainingTime.fit(trials[:first], *images)
    if model is None:
        return []
    errors = []
    for trial in trials[first:]:
        candidate, epochs = read_candidate(trial, trial.id), trial.epochs - trial.initial_epoch
        found = model.predict(candidate, epochs, *images)
        errors.append(abs((found or 0.0) / (trial.seconds or 1.0) - 1))
    return errors


def main() -> None:
    """Prints a table for each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="+")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    asked = parser.parse_args()
    print(describe_device())
    for name in asked.run:
        with closing(RunDirectory.open(asked.runs, name)) as run:
            settings = run.manifest["settings"]
            print(f"\n{run.manifest['space']} on {settings['data']}, {settings['strategy']}")
            print(f"{'trained':>8}{'later':>7}{'median error':>14}{'upper quartile':>16}")
            for first in FIRST:
                if errors := list_errors(run, first):
                    middle, upper = np.quantile(errors, [0.5, 0.75])
                    print(f"{first:>8}{len(errors):>7}{middle:>14.1%}{upper:>16.1%}")


if __name__ == "__main__":
    main()
