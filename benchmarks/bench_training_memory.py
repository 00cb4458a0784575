"""Trains the largest candidate of each space for photographs for a step, and prints its memory.

    python benchmarks/bench_training_memory.py [SPACE ...]

The largest: whose layers put out the most values, of 400 random ones within the --max-macs of the
space's file (its first line), at the batch size of its recipe. Each trains one step on random
images, in a process of its own. Peak memory is the process's largest resident size.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cnnsearch.architecture.cost import Budget, count, try_count
from cnnsearch.architecture.work import WORK, count_work
from cnnsearch.data import from_arrays
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.messages import TrialTask
from cnnsearch.utils.environment import configure_backend, describe_device
from cnnsearch.utils.units import format_amount, parse_amount

SPACES = (
    "photos-small", "photos", "residual-photos", "separable-photos", "efficientnet-photos",
    "dense-photos", "mobile-photos", "regnet-photos",
)  # fmt: skip
DRAWN = 400


def find_limit(space: SearchSpace) -> int:
    """Returns the multiply-accumulates of the command that a space's file opens with."""
    found = re.search(r"--max-macs (\w+)", space.text.splitlines()[0])
    return int(parse_amount(found[1], "--max-macs")) if found else 10**12


def find_largest(space: SearchSpace) -> Candidate:
    rng, budget, largest, most = random.Random(0), Budget(None, find_limit(space)), None, 0
    for _ in range(DRAWN):
        candidate = space.decode(space.sample(rng))
        cost, _ = try_count(candidate.architecture, budget.needs_device)
        if isinstance(cost, Exception) or not budget.allows(cost):
            continue
        values = count_work(candidate.architecture)[WORK.index("values")]
        if values > most:
            largest, most = candidate, values
    if largest is None:
        raise SystemExit(f"{space.name}: no candidate is within the budget")
    return largest


def train(name: str) -> None:
    """Prints what one step of the largest candidate takes, as JSON."""
    configure_backend()
    from cnnsearch.training.trainer import Training

    candidate = find_largest(SearchSpace.load(name))
    network, batch = candidate.architecture, candidate.recipe.batch_size
    height, width, channels = network.input
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2 * batch, height, width, channels), dtype=np.uint8)
    labels = np.arange(2 * batch) % 4
    with tempfile.TemporaryDirectory() as folder:
        data = from_arrays(
            images[:batch], labels[:batch], cache=Path(folder),
            validation_data=(images[batch:], labels[batch:]),
        )  # fmt: skip
        adapted = network.adapt(classes=data.classes, channels=channels)
        recipe = candidate.recipe.model_copy(update={"epochs": 1})
        task = TrialTask("x", adapted, recipe, data, Path(folder) / "x", 1)
        since = time.monotonic()
        training = Training(task)
        list(training.run())
    measured = training.get_measurement()
    row = {"macs": count(adapted).macs, "params": count(adapted).params, "side": height}
    row |= {"values": count_work(adapted)[WORK.index("values")], "batch": batch}
    print(json.dumps({**row, "mib": measured.peak_memory_mb, "s": time.monotonic() - since}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spaces", nargs="*", default=SPACES)
    parser.add_argument("--one", action="store_true", help="in this process, as JSON")
    given = parser.parse_args()
    if given.one:
        train(given.spaces[0])
        return
    print(f"{describe_device()}, batch size of the recipe, one step and one evaluation")
    print(
        f"{'space':22}{'side':>5}{'MACs':>8}{'params':>8}{'values':>8}{'batch':>7}{'peak MiB':>10}"
    )
    for name in given.spaces:
        command = [sys.executable, __file__, name, "--one"]
        row = json.loads(subprocess.run(command, check=True, stdout=-1).stdout.splitlines()[-1])
        amounts = "".join(f"{format_amount(row[key]):>8}" for key in ("macs", "params", "values"))
        print(f"{name:22}{row['side']:>5}{amounts}{row['batch']:>7}{row['mib']:>10.0f}", flush=True)


if __name__ == "__main__":
    main()
