"""What scikit-learn's metrics cost the process of a trial: its start, its first and later metrics.

A process is started as trials are, forked from a server or spawned, and reports when the trainer
is imported, when the metrics of a first epoch are computed, and when those of a second are; with
the formulas in NumPy that version 0.1 had, and with scikit-learn. The two take turns,
and the least CPU time counts, because machines are shared. A Ray worker forks its trials from a
server of its own: the first way.

    python benchmarks/bench_trial_start.py [--rounds 9] [--images 10000] [--classes 10]
"""

import argparse
import multiprocessing
import time
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from cnnsearch.utils.environment import describe_device

STAGES = ("trainer imported", "first metrics", "later metrics")


def numpy_metrics(labels: Any, predictions: Any) -> dict[str, float]:
    """Accuracy, balanced accuracy and macro F1 as version 0.1 computed them."""
    classes = int(max(labels.max(), predictions.max())) + 1
    pairs = np.bincount(labels * classes + predictions, minlength=classes * classes)
    confusion = pairs.reshape(classes, classes)
    correct, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall, seen = correct[true > 0] / true[true > 0], true + predicted > 0
    f1 = 2 * correct[seen] / (true + predicted)[seen]
    accuracy = (labels == predictions).mean()
    return {"accuracy": accuracy, "balanced_accuracy": recall.mean(), "macro_f1": f1.mean()}


def trial(pipe: Connection, library: bool, images: int, classes: int) -> None:
    """Runs in the started process; sends its CPU time after each stage."""
    import cnnsearch.training.trainer  # noqa: F401

    pipe.send(time.process_time())
    from cnnsearch.training.metrics import compute_class_metrics

    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, classes, (2, images))
    for _ in range(2):
        if library:
            compute_class_metrics(labels, predictions, "")
        else:
            numpy_metrics(labels, predictions)
        pipe.send(time.process_time())


def measure(method: str, library: bool, images: int, classes: int) -> list[float]:
    """Returns the milliseconds of each stage of one process."""
    context: Any = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    process = context.Process(target=trial, args=(theirs, library, images, classes))
    process.start()
    clocks = [0.0, *(ours.recv() for _ in STAGES)]
    process.join()
    return [1000 * (b - a) for a, b in pairwise(clocks)]


def main() -> None:
    """Takes turns and prints the least."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=10)
    asked = parser.parse_args()
    multiprocessing.set_forkserver_preload(["cnnsearch.engine.executors.preload"])
    size = asked.images, asked.classes
    measure("forkserver", False, *size)  # starts the server
    print(f"{describe_device()}; {asked.images:,} images, {asked.classes} classes")
    print(f"CPU milliseconds of the trial's process, the least of {asked.rounds}\n")
    print(f"{'':34}" + "".join(f"{stage:>20}" for stage in STAGES))
    for method in ("forkserver", "spawn"):
        found: dict[bool, list[list[float]]] = {False: [], True: []}
        for number in range(asked.rounds):
            for library in (number % 2 == 0, number % 2 == 1):
                found[library].append(measure(method, library, *size))
        for library, name in ((False, "NumPy, as in 0.1"), (True, "scikit-learn")):
            fastest = [min(stage) for stage in zip(*found[library], strict=True)]
            print(f"{method + ', ' + name:34}" + "".join(f"{value:20.2f}" for value in fastest))


if __name__ == "__main__":
    main()
