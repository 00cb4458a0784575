"""Images a second in training: several steps in a call against a call for each step.

    python -m benchmarks.speed.groups [--rounds 5] [--cores 1]

The first candidates of ``tiny`` on digits, as ``make search`` trains them, and the networks of
``benchmarks.speed.step`` on images of 32x32. Both ways alternate in one process; a round is the
training steps of an epoch, preparing batches included. Their losses must be equal to the last
digit.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.speed.step import NETWORKS, make_network
from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.data import Dataset, load
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.sampling import sample_architectures
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.environment import configure_backend, describe_device, import_frameworks
from cnnsearch.utils.hardware import limit_threads

CANDIDATES = 5


def list_networks(folder: Path) -> Iterator[tuple[str, Architecture, TrainingRecipe, Dataset]]:
    """Yields names, networks, their recipes and what they are trained on."""
    space = SearchSpace.load("tiny").adapt(classes=10, channels=1)
    recipe = space.decode_first().recipe
    digits = load("digits", image=(16, 16), channels=None, cache=folder)
    for network in sample_architectures(space, CANDIDATES):
        yield f"tiny {network.family}", network, recipe, digits
    wide = load("digits", image=(32, 32), channels=None, cache=folder)
    for name in NETWORKS:
        yield name, make_network(name), TrainingRecipe(batch_size=128), wide


def start(
    network: Architecture, recipe: TrainingRecipe, data: Dataset, folder: Path
) -> Callable[[int], tuple[float, tuple[float, float]]]:
    """Returns a function that trains an epoch: its seconds, and its loss and accuracy."""
    from cnnsearch.training.messages import TrialTask
    from cnnsearch.training.trainer import Training

    training = Training(TrialTask("t", network, recipe, data, folder, 1000))

    def train(epoch: int) -> tuple[float, tuple[float, float]]:
        since, steps = time.perf_counter(), training._train(epoch)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return time.perf_counter() - since, end.value

    return train


def main() -> None:
    """Prints a line for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=1)
    asked = parser.parse_args()
    configure_backend()
    import_frameworks()
    limit_threads(asked.cores)
    from cnnsearch.training import batches

    sizes = (1, int(batches.MOST_GROUPED))
    print(f"{describe_device()}, of which {asked.cores} used; median of {asked.rounds} rounds;")
    print("images a second in training, a step a call and several, and the ratio with quartiles")
    print("network             MACs  batch    single  several  ratio")
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, network, recipe, data) in enumerate(list_networks(Path(folder))):
            places = [Path(folder) / f"{number}-{size}" for size in sizes]
            ways = [start(network, recipe, data, place) for place in places]
            seconds = np.zeros((asked.rounds + 1, len(sizes)))
            for epoch in range(asked.rounds + 1):
                reports = []
                for way, size in enumerate(sizes):
                    batches.MOST_GROUPED = size  # type: ignore[misc]
                    seconds[epoch, way], report = ways[way](epoch + 1)
                    reports.append(report)
                if reports[0] != reports[1]:
                    raise SystemExit(f"{name}: losses differ: {reports}")
            images = data.train.count // recipe.batch_size * recipe.batch_size
            single, several = images / np.median(seconds[1:], axis=0)  # the first round is traced
            low, middle, high = np.quantile(seconds[1:, 0] / seconds[1:, 1], [0.25, 0.5, 0.75])
            shown = f"{name:<15} {count(network).macs / 1e6:>7.2f}M {recipe.batch_size:>6}"
            rates = f"{single:>9.0f} {several:>8.0f} {middle:>6.2f} ({low:.2f} to {high:.2f})"
            print(shown, rates, flush=True)


if __name__ == "__main__":
    main()
