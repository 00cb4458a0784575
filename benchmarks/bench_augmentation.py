"""Images a second through a small network's training step, with each augmentation against none.

    python benchmarks/bench_augmentation.py

One run, all variants in turn; each figure is the median of the ratios to the plain step.
"""

import argparse
import statistics
import time
from typing import Any

import numpy as np

from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.augmentation import draw_augmentation
from cnnsearch.training.batches import Batch
from cnnsearch.utils.environment import configure_backend, describe_device, import_frameworks

BATCH, STEPS, ROUNDS, SIZE = 128, 6, 5, (32, 32)
VARIANTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "erasing": {"erasing": 0.25},
    "mixup": {"mixup": 0.2},
    "cutmix": {"cutmix": 1.0},
    "randaugment, 2 layers": {"randaugment": {"layers": 2, "magnitude": 5}},
    "all": {"erasing": 0.25, "mixup": 0.2, "cutmix": 1.0, "randaugment": {"layers": 2}},
}


def steps_of(recipe: TrainingRecipe) -> Any:
    from cnnsearch.training.losses import TrainingLoss
    from cnnsearch.training.model import build
    from cnnsearch.training.optimizers import FusedOptimizer
    from cnnsearch.training.steps import compile_steps

    model = build(SearchSpace.load("resnet-20-cifar").decode_first().architecture)
    optimizer = FusedOptimizer(recipe, 1000, model.trainable_variables)
    return compile_steps(model, optimizer, TrainingLoss([1.0], 0.0))


def batch_of(recipe: TrainingRecipe, rng: np.random.Generator) -> Batch:
    images = rng.integers(0, 256, (BATCH, *SIZE, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, BATCH).astype(np.int32)
    return Batch(
        images, labels, np.ones(BATCH, np.float32), draw_augmentation(recipe, BATCH, SIZE, rng)
    )


def seconds(steps: Any, recipe: TrainingRecipe, rng: np.random.Generator) -> float:
    since = time.perf_counter()
    for _ in range(STEPS):
        np.asarray(steps.train([batch_of(recipe, rng)]))
    return time.perf_counter() - since


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    configure_backend()
    import_frameworks()
    rng = np.random.default_rng(0)
    recipes = {name: TrainingRecipe.from_data(asked) for name, asked in VARIANTS.items()}
    made = {name: steps_of(recipe) for name, recipe in recipes.items()}
    taken: dict[str, list[float]] = {name: [] for name in recipes}
    for _ in range(ROUNDS + 1):
        for name, recipe in recipes.items():
            taken[name].append(seconds(made[name], recipe, rng))
    print(f"{describe_device()}; ResNet-20, 32x32, batches of {BATCH}, median of {ROUNDS} rounds")
    for name, values in taken.items():
        ratios = [mine / plain for mine, plain in zip(values, taken["nothing"], strict=True)][1:]
        rate = BATCH * STEPS / statistics.median(values[1:])
        print(f"  {name:24}{rate:>8,.0f} images/s, {statistics.median(ratios):.2f} times the time")


if __name__ == "__main__":
    main()
