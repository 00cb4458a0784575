"""Whether one candidate on all cores, or one on each core, trains more images a second.

    python benchmarks/bench_threads.py [--rounds 3]

For each space the candidate of median MACs is trained on handwritten digits, enlarged to the
space's images: once with all cores, then as many times at once as there are cores, with one core
for each. An epoch's seconds are those of steady training steps and the evaluation after them.
"""

import argparse
import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

SPACES = {"tiny": 16, "mixed": 32, "photos-small": 64, "photos": 128}
"""By name: height and width of the images."""
SAMPLES = 25
EPOCHS = 3  # the first one compiles
IMAGES = 512


def choose_candidate(name: str, side: int) -> dict[str, object]:
    """Returns the values of the candidate of median MACs."""
    from bench_counting import wirable

    from cnnsearch import SearchSpace

    space = SearchSpace.load(name).adapt(classes=10, channels=1, image=(side, side))
    found = sorted(wirable(space, SAMPLES), key=lambda values: space.cost(values).macs)
    return found[len(found) // 2]


def train(name: str, side: int, values: dict[str, object], cores: list[int]) -> tuple[float, int]:
    """Returns the images a second of steady epochs on some cores, and the candidate's MACs."""
    os.sched_setaffinity(0, cores)
    from cnnsearch import SearchSpace
    from cnnsearch.data import load
    from cnnsearch.data.views import take_few
    from cnnsearch.training.messages import TrialTask
    from cnnsearch.training.trainer import Training
    from cnnsearch.utils.environment import configure_backend
    from cnnsearch.utils.hardware import limit_threads

    configure_backend()
    limit_threads(len(cores))
    space = SearchSpace.load(name).adapt(classes=10, channels=1, image=(side, side))
    with tempfile.TemporaryDirectory() as folder:
        data = load("digits", image=(side, side), channels=None, cache=Path(folder))
        data = take_few(data, IMAGES, IMAGES // 4)
        candidate = space.decode(values)
        task = TrialTask(
            "t", candidate.architecture, candidate.recipe, data, Path(folder) / "t", EPOCHS
        )
        steps = Training(task).run()
        seconds = [step.metrics["seconds"] for step in steps if not isinstance(step, str)]
    return data.train.count / statistics.median(seconds[1:]), space.cost(values).macs


def main() -> None:
    """Prints a line for each space."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spaces", nargs="+", default=list(SPACES), choices=SPACES)
    asked = parser.parse_args()
    from cnnsearch.utils.environment import describe_device

    cores = sorted(os.sched_getaffinity(0))
    print(f"{describe_device()}, median of {asked.rounds} rounds; images a second in training")
    print("space          images   MACs    one worker   one a core   ratio (rounds)", flush=True)
    for name in asked.spaces:
        side, ratios, rates, macs = SPACES[name], [], [], 0
        values = choose_candidate(name, side)
        for _ in range(asked.rounds):
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                whole, macs = pool.submit(train, name, side, values, cores).result()
            with ProcessPoolExecutor(len(cores), get_context("spawn")) as pool:
                runs = [pool.submit(train, name, side, values, [core]) for core in cores]
                each = sum(run.result()[0] for run in runs)
            rates.append((whole, each))
            ratios.append(each / whole)
        shown = " ".join(f"{ratio:.2f}" for ratio in ratios)
        one, many = (statistics.median(rate[i] for rate in rates) for i in (0, 1))
        print(
            f"{name:<14}{side:>4}x{side:<4}{macs / 1e6:>6.1f}M{one:>12.0f}{many:>13.0f}"
            f"{statistics.median(ratios):>8.2f} ({shown})",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
