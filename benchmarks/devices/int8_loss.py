"""How much accuracy the candidates of a search lose when they are quantized to int8.

    python -m benchmarks.devices.int8_loss RUN... [--runs FOLDER] [--limit 50] [--earlier FILE]

The best epoch of each finished candidate, best candidates first, is converted as ``--objective
int8_accuracy`` does, and evaluated on the validation split of its run; a search by this objective
has recorded the result. What an earlier call printed is repeated, and summarized with the rest.
Loss is the difference to the accuracy in float, in points: negative where int8 is better.
"""

import argparse
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.exporters.source import open_dataset
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.ranking import rank_trials
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.checkpoint import BEST
from cnnsearch.training.messages import TrialTask
from cnnsearch.utils.environment import configure_backend, import_frameworks

RECORDED = "val_int8_accuracy"


def measure(run: RunDirectory, trial: TrialRecord, dataset: Dataset) -> float:
    """Returns the accuracy of a candidate's best epoch in int8."""
    if RECORDED in trial.metrics:
        return float(trial.metrics[RECORDED])
    from cnnsearch.training.int8 import predict_in_int8

    task = TrialTask(
        trial_id=trial.id,
        architecture=Architecture.from_data(dict(trial.architecture)),
        recipe=TrainingRecipe(),
        epochs=1,
        seed=0,
        dataset=dataset,
        directory=run.path / "trials" / trial.id,
    )
    return float(np.mean(predict_in_int8(task) == dataset.validation.labels()))


def list_losses(runs: Path, name: str, limit: int) -> Iterator[float]:
    """Prints a line for each candidate of a run, and yields its loss in points."""
    run = RunDirectory.open(runs, name)
    dataset = open_dataset(run)
    images = dataset.validation.count
    print(f"{name}: {images:,} validation images, one is {100 / images:.2f} points")
    ranked = [trial for trial in rank_trials(run.db.get_trials()) if trial.backbone is None]
    weights = [trial for trial in ranked if (run.path / "trials" / trial.id / BEST).exists()]
    for trial in weights[:limit]:
        before, after = float(trial.metrics["val_accuracy"]), measure(run, trial, dataset)
        print(
            f"{trial.id}  float {before:.2%}  int8 {after:.2%}  {100 * (after - before):+.2f}",
            flush=True,
        )
        yield 100 * (before - after)
    print(f"{len(ranked) - len(weights[:limit])} left out\n", flush=True)


def repeat_losses(printed: str) -> Iterator[float]:
    """Prints what an earlier call printed but its summary, and yields the losses in points."""
    for line in printed.splitlines()[:-1]:
        print(line)
        if found := re.search(r"int8 .* ([+-][\d.]+)$", line):
            yield -float(found[1])


def main() -> None:
    """Prints a line for each candidate and a summary."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", nargs="+")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--limit", type=int, default=50, help="candidates of each run")
    parser.add_argument("--earlier", type=Path, help="output of an earlier call")
    asked = parser.parse_args()
    configure_backend()
    import_frameworks()
    losses = list(repeat_losses(asked.earlier.read_text())) if asked.earlier else []
    losses += [loss for name in asked.run for loss in list_losses(asked.runs, name, asked.limit)]
    if not losses:
        raise SystemExit("no finished candidate has weights")
    print(
        f"{len(losses)} candidates: median loss {statistics.median(losses):.2f}, worst"
        f" {max(losses):.2f} points; at most 0.2: {sum(loss <= 0.2 for loss in losses)}, at most"
        f" 0.5: {sum(loss <= 0.5 for loss in losses)}"
    )


if __name__ == "__main__":
    main()
