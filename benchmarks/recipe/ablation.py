"""Trains small networks with each lever of the recipe alone and with several together.

    python -m benchmarks.recipe.ablation DATA --out benchmarks/recipe/results.jsonl

DATA is a folder of class folders in ``train`` and ``val``: here 3,840 and 2,400 images of CIFAR-10
at 32 x 32. One line is appended for each training, with its accuracy on ``val`` after each epoch;
trainings that have their line are skipped, so the program may be killed and started again. It
counts epochs, not seconds, in one thread: other programs on the machine change no number.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SHORT, MEDIUM, LONG = 5, 10, 20
"""Epochs: every lever's, what the levers together are to halve, and the ranks' reference."""


class Network(NamedTuple):
    """Three stages of a block, each of half the side and twice the width of the one before."""

    block: dict[str, Any]
    width: int = 16
    stem: int = 16


NETWORKS = {
    "plain": Network({"type": "plain"}),
    "basic": Network({"type": "basic"}, 12, 12),
    "separable": Network({"type": "separable"}, 24, 24),
    "inverted": Network({"type": "inverted_residual", "expansion": 3}),
    "dense": Network({"type": "dense"}),
    "inception": Network({"type": "inception"}, 32),
    "preact": Network({"type": "preact_basic"}, 10, 16),
    "ghost": Network({"type": "ghost"}),
    "plain-wide-stem": Network({"type": "plain"}, 16, 32),
    "fire": Network({"type": "fire"}, 32),
    "darknet": Network({"type": "darknet"}),
    "xception": Network({"type": "xception"}),
    "fasternet": Network({"type": "fasternet"}),
    "convmixer": Network({"type": "convmixer"}),
    "inception-v2": Network({"type": "inception_v2"}, 32),
    "mbconv": Network({"type": "mbconv", "expansion": 3}, 12),
    "bottleneck": Network({"type": "bottleneck", "expansion": 4}, 8),
    "shuffle": Network({"type": "shuffle_v2"}, 24, 24),
    "res2net": Network({"type": "res2net"}, 8),
    "repvgg": Network({"type": "repvgg"}),
}

TOGETHER = {"whitening": True, "dirac": True, "flip": "alternate", "label_smoothing": 0.2}
LEVERS: dict[str, dict[str, Any]] = {
    "base": {},
    "whitening": {"whitening": True},
    "dirac": {"dirac": True},
    "alternate": {"flip": "alternate"},
    "norm-bias-4": {"norm_bias_rate": 4.0},
    "smoothing-0.2": {"label_smoothing": 0.2},
    "ema-0.99": {"ema": 0.99},
    "together": TOGETHER,
    "together+ema": {**TOGETHER, "ema": 0.99},
    "resizing": {"resizing": {"start": 0.75, "until": 0.6}},
    "rate-0.01": {"learning_rate": 0.01},
    "together+rate-0.01": {**TOGETHER, "learning_rate": 0.01},
    "muon": {"optimizer": "muon"},
    "together+muon": {**TOGETHER, "optimizer": "muon"},
    "lookahead": {},
    "frozen-scales": {},
}
STYLES: dict[str, dict[str, Any]] = {"frozen-scales": {"norm_scale": False}}
"""Levers that change the network's style."""


class Run(NamedTuple):
    """One training."""

    network: str
    lever: str
    epochs: int
    seed: int


def plan(networks: int, seeds: int) -> Iterator[Run]:
    """Yields the trainings in order of interest, a seed at a time.

    Every network with and without the levers that help most, the trainings that the aims compare
    them with, each other lever on the first eight networks, the long trainings, and the other
    levers on the other networks.

    Args:
        networks: of :data:`NETWORKS`, from the first on.
        seeds: of each training.
    """
    names = list(NETWORKS)[:networks]
    first = ("base", "whitening", "together")
    others = [lever for lever in LEVERS if lever not in first]
    for seed in range(seeds):
        yield from (Run(name, lever, SHORT, seed) for name in names for lever in first)
        yield from (Run(name, "base", MEDIUM, seed) for name in names)
        yield from (Run(name, lever, SHORT, seed) for name in names[:8] for lever in others)
        both = ("base", "together")
        yield from (Run(name, lever, LONG, seed) for name in names for lever in both)
        yield from (Run(name, lever, SHORT, seed) for name in names[8:] for lever in others)


def make_architecture(network: Network, style: dict[str, Any]) -> Any:
    """Returns the network for images of 32 x 32."""
    from cnnsearch.architecture.architecture import Architecture

    stages = [
        {"block": network.block, "depth": 1, "width": network.width * 2**i, "stride": min(2, 1 + i)}
        for i in range(3)
    ]
    stem = [{"type": "conv", "filters": network.stem}]
    return Architecture.from_data(
        {"input": [32, 32, 3], "classes": 10, "style": style, "stem": stem, "stages": stages}
    )


def train(run: Run, data: Any) -> list[float]:
    """Returns the accuracy on the validation images after each epoch."""
    import keras

    from benchmarks.recipe.optimizers import Lookahead
    from cnnsearch.space.recipe import TrainingRecipe
    from cnnsearch.training import trainer
    from cnnsearch.training.history import Epoch
    from cnnsearch.training.messages import TrialTask
    from cnnsearch.training.optimizers import FusedOptimizer
    from cnnsearch.training.trainer import Training

    keras.utils.clear_session(free_memory=False)
    recipe = TrainingRecipe(**LEVERS[run.lever])
    network = make_architecture(NETWORKS[run.network], STYLES.get(run.lever, {}))
    optimizer = Lookahead if run.lever == "lookahead" else FusedOptimizer
    trainer.FusedOptimizer = optimizer  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        task = TrialTask("t", network, recipe, data, Path(folder), run.epochs, seed=run.seed)
        epochs = [step for step in Training(task).run() if isinstance(step, Epoch)]
    return [round(epoch.metrics["val_accuracy"], 5) for epoch in epochs]


def read_done(file: Path) -> set[Run]:
    """Returns the trainings that have their line."""
    if not file.exists():
        return set()
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return {Run(*(row[key] for key in Run._fields)) for row in rows}


def main() -> None:
    """Trains what has no line yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--networks", type=int, default=len(NETWORKS))
    parser.add_argument("--levers", nargs="*", default=list(LEVERS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="of decoded images")
    args = parser.parse_args()
    os.environ |= dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")

    from cnnsearch.utils.environment import configure_backend, import_frameworks

    configure_backend()
    import_frameworks()
    from cnnsearch.data import load

    data = load(str(args.data), image=(32, 32), channels=3, cache=args.cache)
    done = read_done(args.out)
    for run in plan(args.networks, args.seeds):
        if run not in done and run.lever in args.levers:
            line = json.dumps({**run._asdict(), "curve": train(run, data)})
            with args.out.open("a") as file:
                file.write(f"{line}\n")


if __name__ == "__main__":
    main()
