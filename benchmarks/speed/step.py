"""Images a second of a training step: ours, without its fused kernel, in bfloat16, and ``fit``.

Also what the kernel gains in evaluation, and what Muon costs in place of AdamW.

    python -m benchmarks.speed.step [--rounds 5]

Images of 32x32 pixels in batches of 64. Ours shifts and mirrors them, as a search does; ``fit``
gets them as they are, with AdamW. All alternate in one process; compilation does not count.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.data import Dataset, load
from cnnsearch.data.views import take_few
from cnnsearch.space.published import load_published
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.utils.environment import configure_backend, describe_device, import_frameworks

NETWORKS: dict[str, Any] = {
    "ResNet-20": "resnet-20-cifar-b",
    "Inception": [{"block": "inception", "depth": 2, "width": w, "stride": s} for w, s in
                  ((32, 1), (64, 2), (128, 2))],
    "dense": [{"block": "dense", "depth": 6, "width": 12, "stride": s} for s in (1, 2, 2)],
    "separable": [{"block": "separable", "depth": 3, "width": w, "stride": s} for w, s in
                  ((32, 1), (64, 2), (128, 2))],
    "plain": [{"block": "plain", "depth": 2, "width": w, "stride": s} for w, s in
              ((16, 1), (32, 2), (64, 2))],
}  # fmt: skip
BATCH, STEPS = 64, 8


def make_network(name: str) -> Architecture:
    """Returns one of the networks, for ten classes."""
    found = NETWORKS[name]
    if isinstance(found, str):
        return load_published(found).adapt(classes=10, channels=1, image=(32, 32))
    stem = [{"type": "conv", "filters": 16}]
    return Architecture.from_data(
        {"input": [32, 32, 1], "classes": 10, "stem": stem, "stages": found}
    )


def make_ours(
    network: Architecture,
    data: Dataset,
    folder: Path,
    recipe: TrainingRecipe,
    fused: bool = True,
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Returns a function that trains for a few of our steps, and one that evaluates as many."""
    from cnnsearch.training import steps
    from cnnsearch.training.batches import iterate_validation
    from cnnsearch.training.messages import TrialTask
    from cnnsearch.training.trainer import Training

    training = Training(TrialTask("t", network, recipe, data, folder, 100))
    batches = list(chain.from_iterable(training._batches.iterate_groups(1)))[:STEPS]
    kernels = steps.use_fused_kernels
    steps.use_fused_kernels = kernels if fused else lambda model: nullcontext()
    held_out = next(iterate_validation(data.validation, BATCH))
    np.asarray(training._steps.train(batches[:1]))  # traces
    training._steps.sync_variables()
    np.asarray(training._steps.evaluate(held_out))
    steps.use_fused_kernels = kernels

    def run() -> None:
        np.asarray(training._steps.train(batches))

    def evaluate() -> None:
        for _ in batches:
            outputs = training._steps.evaluate(held_out)
        np.asarray(outputs)

    return run, evaluate


def make_fit(network: Architecture, data: Dataset) -> Callable[[], Any]:
    """Returns a function that trains for as many steps by ``fit``."""
    import keras

    from cnnsearch.training.model import build

    images = np.asarray(data.train.images())[: BATCH * STEPS]
    labels = np.asarray(data.train.labels())[: BATCH * STEPS]
    model = build(network, mean=data.mean, std=data.std)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    jit = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.AdamW(1e-3), loss, metrics=["accuracy"], jit_compile=jit)
    return lambda: model.fit(images, labels, batch_size=BATCH, verbose=0)


def main() -> None:
    """Prints a line for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    configure_backend()
    import_frameworks()
    print(f"{describe_device()}, median of {asked.rounds} rounds; images a second in training, and")
    print("ratios: with the fused kernel to without, in evaluation and in training; bfloat16 to")
    print("float32, ours to fit's, Muon to AdamW")
    print("network         MACs     ours  no kernel  bfloat16   Keras fit  evaluation  kernel"
          "  bfloat16   fit  Muon")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        data = take_few(load("digits", image=(32, 32), channels=None, cache=Path(folder)), 640, 64)
        for name in NETWORKS:
            network, place = make_network(name), Path(folder) / name
            recipe = TrainingRecipe(batch_size=BATCH, precision="float32")
            small = recipe.change(["precision=bfloat16"])
            ours, evaluate = make_ours(network, data, place / "ours", recipe)
            unfused, evaluate_unfused = make_ours(network, data, place / "unfused", recipe, False)
            bfloat16, _ = make_ours(network, data, place / "bfloat16", small)
            fit = make_fit(network, data)
            muon, _ = make_ours(network, data, place / "muon", recipe.change(["optimizer=muon"]))
            ways = (ours, unfused, bfloat16, fit, evaluate, evaluate_unfused, muon)
            rates = np.array([measure(ways) for _ in range(asked.rounds + 1)][1:])  # 0: compiles
            shown = "".join(f"{rate:>11.0f}" for rate in np.median(rates[:, :4], axis=0))
            ratios = np.median(rates[:, [4, 0, 2, 0, 6]] / rates[:, [5, 1, 0, 3, 0]], axis=0)
            ratio = "{:>12.2f}{:>8.2f}{:>10.2f}{:>6.2f}{:>6.2f}".format(*ratios)
            print(f"{name:<11}{count(network).macs / 1e6:>8.1f}M{shown[2:]}{ratio}", flush=True)


def measure(ways: Sequence[Callable[[], Any]]) -> list[float]:
    """Returns the images a second of each way, once."""
    rates = []
    for way in ways:
        since = time.perf_counter()
        way()
        rates.append(BATCH * STEPS / (time.perf_counter() - since))
    return rates


if __name__ == "__main__":
    main()
