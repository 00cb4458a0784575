"""Images a second in training: ours, Keras's ``fit`` and a PyTorch loop, and shares of the peak.

    pip install torch==2.13.0+cpu    # or none: its columns are left out, with a line that says so
    python -m benchmarks.speed.frameworks [--rounds 5] > benchmarks/speed/frameworks.txt

The networks of ``step.py``, in batches of 64. Ours shifts and mirrors images of 32x32, as a search
does; the others get them as they are, with AdamW. PyTorch's loop is the usual one, eager, with maps
in ``channels_last``. Each way has a process of its own; they take turns, so that all see the same
machine. Compilation does not count. The share is of what the machine multiplies matrices of
2048x2048 with in the same precision: three passes of MACs of two operations each.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.step import BATCH, NETWORKS, STEPS, make_fit, make_network, make_ours
from cnnsearch.architecture.cost import count
from cnnsearch.data import Dataset, load
from cnnsearch.data.views import take_few
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.utils.environment import configure_backend, describe_device, import_frameworks

WAYS = {
    "ours": ("tensorflow", "float32"),
    "ours bf16": ("tensorflow", "bfloat16"),
    "ours JAX": ("jax", "float32"),
    "fit": ("tensorflow", "float32"),
    "fit JAX": ("jax", "float32"),
    "PyTorch": ("torch", "float32"),
    "PyTorch bf16": ("torch", "bfloat16"),
}
"""The framework and the precision of each way."""
SIDE = 2048


def make_way(way: str, name: str, data: Dataset, folder: Path) -> Callable[[], Any]:
    """Returns a function that trains a network for a few steps."""
    network, (framework, precision) = make_network(name), WAYS[way]
    if framework == "torch":
        return make_torch(name, data, precision)
    if way.startswith("fit"):
        return make_fit(network, data)
    recipe = TrainingRecipe.from_data({"batch_size": BATCH, "precision": precision})
    return make_ours(network, data, folder / way / name, recipe)[0]


def make_torch(name: str, data: Dataset, precision: str) -> Callable[[], Any]:
    """Returns a function that trains for as many steps in PyTorch."""
    import torch

    from benchmarks.speed.torch_network import TorchNetwork

    network = make_network(name)
    model = TorchNetwork(network).to(memory_format=torch.channels_last)
    params = sum(p.numel() for p in model.parameters())
    if params != count(network).params:
        raise SystemExit(
            f"{name}: {params:,} parameters in PyTorch, {count(network).params:,} here"
        )
    images = np.asarray(data.train.images())[: BATCH * STEPS]
    pixels = (images.astype(np.float32).transpose(0, 3, 1, 2) - data.mean[0]) / data.std[0]
    batches = torch.from_numpy(np.ascontiguousarray(pixels)).split(BATCH)
    batches = [batch.to(memory_format=torch.channels_last) for batch in batches]
    labels = torch.from_numpy(np.asarray(data.train.labels())[: BATCH * STEPS].astype(np.int64))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    loss = torch.nn.CrossEntropyLoss()

    def run() -> None:
        for batch, wanted in zip(batches, labels.split(BATCH), strict=True):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                found = loss(model(batch), wanted)
            found.backward()
            optimizer.step()

    return run


def make_product(precision: str) -> Callable[[], Any]:
    """Returns a function that multiplies two large matrices with TensorFlow."""
    import tensorflow as tf

    a = tf.cast(tf.random.normal((SIDE, SIDE)), precision)
    product = tf.function(lambda: tf.reduce_sum(tf.cast(tf.linalg.matmul(a, a), tf.float32)))
    return lambda: product().numpy()


def serve(way: str, cache: Path, orders: Connection) -> None:
    """Answers the name of a network when it can be trained, and None by the seconds it took."""
    framework, precision = WAYS[way]
    if framework != "torch":
        configure_backend()
        import_frameworks()
    run: Callable[[], Any] = int
    with tempfile.TemporaryDirectory() as folder:
        data = take_few(load("digits", image=(32, 32), channels=None, cache=cache), 640, 64)
        while (order := orders.recv()) is not False:
            if order == "peak":
                run = make_product(precision)
            elif order is not None:
                run = make_way(way, order, data, Path(folder))
            since = time.perf_counter()
            run()  # the first one compiles
            orders.send(time.perf_counter() - since)


@contextmanager
def start(ways: Sequence[str], cache: Path) -> Iterator[dict[str, Connection]]:
    """Starts a process for each way."""
    context, found, processes = get_context("spawn"), {}, []
    for way in ways:
        os.environ["KERAS_BACKEND"] = WAYS[way][0]
        found[way], there = context.Pipe()
        processes.append(context.Process(target=serve, args=(way, cache, there)))
        processes[-1].start()
    try:
        yield found
    finally:
        for orders, process in zip(found.values(), processes, strict=True):
            orders.send(False)
            process.join()


def ask(orders: Connection, order: str | None = None) -> float:
    """Returns the seconds that an order took."""
    orders.send(order)
    return float(orders.recv())


def measure(processes: dict[str, Connection], order: str, rounds: int) -> dict[str, float]:
    """Returns the median seconds of each process, which take turns."""
    for orders in processes.values():
        ask(orders, order)
    found = [[ask(orders) for orders in processes.values()] for _ in range(rounds)]
    return dict(zip(processes, np.median(found, axis=0), strict=True))


def main() -> None:
    """Prints a line for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    has_torch = find_spec("torch") is not None
    ways = [way for way in WAYS if has_torch or WAYS[way][0] != "torch"]
    device = describe_device()
    with tempfile.TemporaryDirectory() as cache, start(ways, Path(cache)) as processes:
        products = {way: processes[way] for way in ("ours", "ours bf16")}
        peaks = {
            way: 2e-9 * SIDE**3 / seconds
            for way, seconds in measure(products, "peak", asked.rounds).items()
        }
        print(f"{device}, median of {asked.rounds} rounds; images a second in training")
        if not has_torch:
            print("PyTorch is not installed, and left out")
        print("".join([f"{'network':<11}", *[f"{way:>13}" for way in ways], "   shares of peak"]))
        for name in NETWORKS:
            rates = {
                way: BATCH * STEPS / seconds
                for way, seconds in measure(processes, name, asked.rounds).items()
            }
            flops = 6e-9 * count(make_network(name)).macs
            shares = "".join(f"{rates[way] * flops / peaks[way]:>9.1%}" for way in peaks)
            shown = "".join(f"{rate:>13,.0f}" for rate in rates.values())
            print(f"{name:<11}{shown}{shares}", flush=True)
        peak = " and ".join(f"{peaks[way]:,.0f} ({WAYS[way][1]})" for way in peaks)
        print(f"peak, GFLOP/s of a product of two matrices: {peak}; shares are those of ours")


if __name__ == "__main__":
    main()
