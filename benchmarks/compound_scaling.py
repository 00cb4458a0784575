"""Does scaling depth, width and resolution together beat scaling one of them, at equal MACs?

    .venv/bin/python benchmarks/compound_scaling.py --data cifar10/train --baseline RUN --image 20

The baseline (a run's winner, a published network, a file) is scaled four ways to the same MACs: all
three (Tan & Le, arXiv:1905.11946), depth alone, width alone, resolution alone. Each is trained with
each seed, interleaved, in a process of its own. Printed: mean, spread and extremes of the best
validation accuracy; which way is best is read off the table, whatever it says. All are
trained with one recipe, that of the baseline.

Resolution only tells something new while it stays within the images' own: the baseline should read
images smaller than they are (``--image 20`` for CIFAR-10's 32x32). What is done is kept in the
results file after every training; the same command goes on where it stopped.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.compound_scaling import CompoundScaling
from cnnsearch.architecture.cost import count
from cnnsearch.data import Dataset, load
from cnnsearch.engine.executors import ProcessExecutor
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.lookup import find_candidate, parse_image
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.messages import Completed, TrialEnd, TrialTask
from cnnsearch.utils.environment import describe_device, describe_environment
from cnnsearch.utils.units import format_amount

RESULTS = Path(__file__).parent / "results" / "compound_scaling.json"
ALONE = {
    "depth": CompoundScaling(alpha=2.0, beta=1.0, gamma=1.0),
    "width": CompoundScaling(alpha=1.0, beta=2**0.5, gamma=1.0),
    "resolution": CompoundScaling(alpha=1.0, beta=1.0, gamma=2**0.5),
}


def scaled(
    baseline: Architecture, ways: dict[str, CompoundScaling], factor: float
) -> dict[str, Any]:
    """Returns one network a way, all near ``factor`` times the baseline's MACs.

    Rounding moves each in steps of its own, so the target is moved by up to 15 % to where the most
    expensive one costs least over the cheapest.
    """
    base, best = count(baseline).macs, {}
    fewest = float("inf")
    for percent in range(-15, 16):
        target = round(base * factor * (1 + percent / 100))
        found: dict[str, dict[str, Any]] = {}
        for name, way in ways.items():
            phi = way.find_phi(baseline, target)
            found[name] = {"phi": phi, "architecture": way.scale(baseline, phi)}
        macs = [count(one["architecture"]).macs for one in found.values()]
        spread = max(macs) / min(macs) + abs(percent) / 1e4
        if spread < fewest:
            best, fewest = found, spread
    return best


def train(net: Architecture, recipe: TrainingRecipe, data: Dataset, seed: int) -> dict[str, float]:
    """Trains one network in a process of its own; returns its measurement."""
    executor = ProcessExecutor(1)
    with tempfile.TemporaryDirectory() as folder:
        task = TrialTask("one", net, recipe, data, Path(folder), recipe.epochs, seed=seed)
        try:
            executor.submit(task)
            while True:
                for event in executor.poll(5.0):
                    if isinstance(event, TrialEnd):
                        if isinstance(event.outcome, Completed):
                            return event.outcome.measurement.metrics
                        raise CnnsearchError(f"training failed: {event.outcome}")
        finally:
            executor.close()


def described(net: Architecture) -> dict[str, Any]:
    cost = count(net)
    return {
        "input": list(net.input), "depth": net.depth, "params": cost.params, "macs": cost.macs,
    }  # fmt: skip


def summary(scores: Sequence[float]) -> dict[str, float]:
    """Returns mean, sample standard deviation and extremes."""
    spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
    ends = {"lowest": min(scores), "highest": max(scores)}
    return {"mean": statistics.mean(scores), "standard_deviation": spread, **ends}


def show(results: dict[str, Any]) -> None:
    print(
        f"\n{'scaled':12} {'phi':>6} {'input':>10} {'depth':>5} {'params':>7} {'MACs':>7}", end=""
    )
    print("   mean +- sd of the best validation accuracy (lowest to highest)")
    for name, net in results["networks"].items():
        scores = [run["val_accuracy"] for run in results["trained"] if run["scaled"] == name]
        size = "x".join(map(str, net["input"]))
        costs = f"{format_amount(net['params']):>7} {format_amount(net['macs']):>7}"
        print(f"{name:12} {net['phi']:6.3f} {size:>10} {net['depth']:5} {costs}", end="   ")
        if scores:
            s = summary(scores)
            ends = f"({s['lowest']:.2%} to {s['highest']:.2%}, {len(scores)} seeds)"
            print(f"{s['mean']:.2%} +- {s['standard_deviation']:.2%} {ends}")
        else:
            print("-")


def settings(asked: argparse.Namespace, recipe: TrainingRecipe) -> dict[str, Any]:
    keys = ("baseline", "data", "image", "factor", "alpha", "beta", "gamma", "divisor")
    return {**{key: getattr(asked, key) for key in keys}, "recipe": recipe.to_data()}


def begin(out: Path, asked: dict[str, Any], nets: dict[str, Any]) -> dict[str, Any]:
    """Returns the results so far, if they are of the same question, or empty ones."""
    if out.is_file():
        results: dict[str, Any] = json.loads(out.read_text("utf-8"))
        if results["settings"] != asked:
            raise CnnsearchError(f"--out {out}: holds the results of other settings")
        return results
    networks = {
        name: {"phi": one["phi"], **described(one["architecture"])} for name, one in nets.items()
    }
    machine = {"machine": platform.machine(), **describe_environment()}
    head = {"date": date.today().isoformat(), "device": describe_device(), "environment": machine}
    return {**head, "settings": asked, "networks": networks, "trained": []}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", required=True, help="a folder of class folders, or tfds:cifar10")
    parser.add_argument(
        "--baseline", default="resnet-20-cifar", help="RUN, RUN:TRIAL, name or file"
    )
    parser.add_argument("--image", help="the image size that the baseline reads")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--factor", type=float, default=4.0, help="MACs over the baseline's")
    parser.add_argument("--alpha", type=float, default=1.2)
    parser.add_argument("--beta", type=float, default=1.1)
    parser.add_argument("--gamma", type=float, default=1.15)
    parser.add_argument("--divisor", type=int, default=4, help="narrow networks need fine steps")
    parser.add_argument("--epochs", type=int, help="default: what the baseline's recipe says")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def prepared(
    asked: argparse.Namespace, found: Candidate
) -> tuple[Dataset, dict[str, dict[str, Any]]]:
    """Returns the data at the largest resolution, and the networks by how they are scaled."""
    image = parse_image(asked.image) if asked.image else found.architecture.input[:2]
    proportion = {key: getattr(asked, key) for key in ("alpha", "beta", "gamma")}
    ways = {"compound": CompoundScaling(**proportion), **ALONE}
    ways = {name: way.model_copy(update={"divisor": asked.divisor}) for name, way in ways.items()}
    options: dict[str, Any] = {"channels": None, "cache": asked.runs / ".cache"}
    small = load(asked.data, image=image, **options)
    baseline = found.architecture.adapt(classes=small.classes, channels=small.channels, image=image)
    nets = scaled(baseline, ways, asked.factor)
    nets = {"baseline": {"phi": 0.0, "architecture": baseline}, **nets}
    largest = max(one["architecture"].input[:2] for one in nets.values())
    return load(asked.data, image=largest, **options), nets


def train_missing(
    results: dict[str, Any],
    nets: dict[str, dict[str, Any]],
    recipe: TrainingRecipe,
    data: Dataset,
    asked: argparse.Namespace,
) -> None:
    """Trains what the results lack, and writes them after each training."""
    done = {(run["scaled"], run["seed"]) for run in results["trained"]}
    for seed, name in product(range(asked.seeds), nets):
        if (name, seed) in done:
            continue
        start = time.monotonic()
        measured = train(nets[name]["architecture"], recipe, data, seed=1000 * seed + 17)
        results["trained"].append({"scaled": name, "seed": seed, **measured})
        asked.out.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        accuracy, seconds = measured["val_accuracy"], time.monotonic() - start
        print(f"seed {seed}, {name}: {accuracy:.2%} in {seconds:.0f} s", flush=True)


def main() -> None:
    """Trains what is missing and prints the table."""
    asked = parsed()
    candidate = find_candidate(asked.baseline, asked.runs)
    epochs = asked.epochs or candidate.recipe.epochs
    recipe = candidate.recipe.model_copy(update={"epochs": epochs, "early_stopping": None})
    data, nets = prepared(asked, candidate)
    results = begin(asked.out, settings(asked, recipe), nets)
    print(f"{describe_device()}, {data.train.count:,} training images, {recipe.epochs} epochs each")
    show(results)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    train_missing(results, nets, recipe, data, asked)
    show(results)


if __name__ == "__main__":
    main()
