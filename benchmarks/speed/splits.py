"""Images a second of a training step with the batch whole, and split over the cores of a CPU.

    python -m benchmarks.speed.splits [--rounds 3] [--networks ResNet-20 plain]

Images of 32x32 pixels in batches of 128. How many threads compute one operation is fixed when a
process starts, so each measurement runs in a process of its own, as a trial does; both ways
alternate.
"""

import argparse
import subprocess
import sys
import tempfile
import timeit
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.step import NETWORKS, STEPS, make_network, make_ours
from cnnsearch.data import load
from cnnsearch.data.views import take_few
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.utils.environment import configure_backend, describe_device, import_frameworks
from cnnsearch.utils.hardware import count_cores, limit_threads

BATCH, REPEATS = 128, 7


def measure(name: str, precision: Any, splits: int) -> float:
    """Returns the images a second of a network, in this process."""
    configure_backend()
    import_frameworks()
    limit_threads(count_cores(), splits)
    recipe = TrainingRecipe(batch_size=BATCH, precision=precision, batch_splits=splits)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        data = take_few(load("digits", image=(32, 32), channels=None, cache=cache), 1024, 64)
        train, _ = make_ours(make_network(name), data, cache / "t", recipe)
        seconds = timeit.repeat(train, number=1, repeat=REPEATS)
    return BATCH * STEPS / float(np.median(seconds))


def main() -> None:
    """Prints a line for each network and precision; with ``--one`` a single figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--one", nargs=3, metavar=("NETWORK", "PRECISION", "SPLITS"))
    asked = parser.parse_args()
    if asked.one:
        name, precision, splits = asked.one
        print(measure(name, precision, int(splits)))
        return
    cores = count_cores()
    print(f"{describe_device()}, median of {asked.rounds} rounds; images a second in training")
    print(f"network    precision     whole   in {cores} parts   ratio")
    for name in asked.networks:
        for precision in ("float32", "bfloat16"):
            rates = np.array([
                [run(name, precision, splits) for splits in (1, cores)]
                for _ in range(asked.rounds)
            ])  # fmt: skip
            whole, split = np.median(rates, axis=0)
            ratio = np.median(rates[:, 1] / rates[:, 0])
            print(f"{name:<10} {precision:<9}{whole:>10.0f}{split:>13.0f}{ratio:>8.2f}", flush=True)


def run(name: str, precision: str, splits: int) -> float:
    """Returns the images a second of a network, measured in a new process."""
    given = [name, precision, str(splits)]
    command = [sys.executable, "-m", "benchmarks.speed.splits", "--one", *given]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
