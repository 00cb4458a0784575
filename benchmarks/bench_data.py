"""Images a second: decoded once and read by every epoch, against decoding them in every epoch.

    python benchmarks/bench_data.py

Two folders of JPEGs are made: 4,000 of 32 x 32 and 400 of 640 x 480 (crops of scikit-learn's two
photographs, read at 96 x 96). Both sides deliver shuffled batches of 64 and train on nothing; then
a small network's training step says how many images a second it could take. On a busy machine the
seconds of CPU and the ratios, of pairs measured one after the other, say more than the rates.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from cnnsearch.data import Dataset, load
from cnnsearch.data.sources.decode import decode_all
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.batches import TrainingBatches
from cnnsearch.utils.environment import configure_backend, describe_device, import_frameworks

BATCH, ROUNDS = 64, 5


def make_folder(folder: Path, count: int, size: tuple[int, int]) -> None:
    rng, photographs = np.random.default_rng(0), load_sample_images().images
    for i in range(count):
        photograph = Image.fromarray(photographs[i % 2])
        side = int(rng.integers(100, 400))
        left, top = (int(rng.integers(0, edge - side)) for edge in photograph.size)
        crop = photograph.crop((left, top, left + side, top + side)).resize(size)
        path = folder / str(i % 2) / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        crop.save(path, quality=90)


def rate(batches: Callable[[], Iterator[Any]]) -> float:
    since, count = time.perf_counter(), 0
    for images in batches():
        count += len(images)
    return count / (time.perf_counter() - since)


def ours(data: Dataset) -> Callable[[], Iterator[Any]]:
    batches = TrainingBatches.create(data, TrainingRecipe(batch_size=BATCH), seed=0)
    return lambda: (batch.images for group in batches.iterate_groups(1) for batch in group)


def keras_folder(folder: Path, image: tuple[int, int]) -> Callable[[], Iterator[Any]]:
    import keras

    found = keras.utils.image_dataset_from_directory(
        folder, image_size=image, batch_size=BATCH, shuffle=True, verbose=False
    )
    return lambda: (images.numpy() for images, _ in found)


def core_gain(folder: Path, image: tuple[int, int]) -> float:
    """Returns how many times faster all cores decode than one, median of pairs."""
    files, cores, ratios = sorted(folder.rglob("*.jpg")), os.sched_getaffinity(0), []
    for _ in range(ROUNDS):
        seconds = []
        for allowed in ({min(cores)}, cores):
            os.sched_setaffinity(0, allowed)
            since = time.perf_counter()
            for _ in decode_all((file.read_bytes for file in files), image, 3):
                pass
            seconds.append(time.perf_counter() - since)
        ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios)


def step_rate(data: Dataset) -> float:
    from cnnsearch.space.search_space import SearchSpace
    from cnnsearch.training.messages import TrialTask
    from cnnsearch.training.trainer import Training

    space = SearchSpace.load("tiny").adapt(classes=2, channels=3, image=data.image)
    network, recipe = space.decode_first().architecture, TrainingRecipe(batch_size=BATCH)
    with tempfile.TemporaryDirectory() as folder:
        training = Training(TrialTask("one", network, recipe, data, Path(folder), epochs=2))
        seconds = [epoch.metrics["seconds"] for epoch in training.run()]
    return data.train.count / seconds[-1]


def compare(name: str, folder: Path, image: tuple[int, int], cache: Path) -> None:
    since, cpu = time.perf_counter(), time.process_time()
    data = load(str(folder), image=image, channels=3, cache=cache)
    once, cpu = time.perf_counter() - since, time.process_time() - cpu
    count = data.train.count + data.validation.count
    sides = {
        "mapped": ours(data),
        "streamed": ours(data.fit_memory(1)),
        "keras": keras_folder(folder, image),
    }
    rates: dict[str, list[float]] = {key: [] for key in sides}
    for _ in range(ROUNDS + 1):
        for key, batches in sides.items():
            rates[key].append(rate(batches))
    median = {key: statistics.median(values[1:]) for key, values in rates.items()}
    ratios = {
        key: statistics.median(
            a / b for a, b in zip(rates[key][1:], rates["keras"][1:], strict=True)
        )
        for key in ("mapped", "streamed")
    }
    gain = core_gain(folder, image)
    print(f"\n{name}: decoded once in {once:.1f} s, {count / once:,.0f} images/s")
    print(f"  that took {cpu:.1f} s of CPU; all cores decode {gain:.1f} times as fast as one")
    print(
        f"  image_dataset_from_directory   {median['keras']:>10,.0f} images/s, decoding each epoch"
    )
    for key, ratio in ratios.items():
        words = f"cnnsearch, {key}, augmented"
        print(f"  {words:30} {median[key]:>10,.0f} images/s, {ratio:.1f} times")
    print(f"  a small network's step needs   {step_rate(data):>10,.0f} images/s")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(f"{describe_device()}, median of {ROUNDS} rounds, batches of {BATCH}")
    configure_backend()
    import_frameworks()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name, count, size, image in (
            ("4,000 JPEGs of 32x32", 4000, (32, 32), (32, 32)),
            ("400 JPEGs of 640x480 at 96x96", 400, (640, 480), (96, 96)),
        ):
            folder = root / f"{size[0]}"
            make_folder(folder, count, size)
            compare(name, folder, image, root / "cache")


if __name__ == "__main__":
    main()
