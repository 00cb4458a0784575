"""Children trained from their parents' weights: does a short training rank them better?

    OMP_NUM_THREADS=1 python -m benchmarks.replay.weight_inheritance FOLDER --children 32

Cai et al. (arXiv:1711.04528) and Real et al. (arXiv:1703.01041) let a mutated network start with
its parent's weights. Here a child is a mutation of a random candidate of ``own_table.yaml``, which
was trained for 12 epochs. Each child is trained three times: for 12 epochs from random weights,
which is the truth; for 4 from random weights; and for 4 from the parent's weights wherever a
variable of the same name has the same shape. The rank correlation of both short trainings with the
truth is printed, with its 95 % interval over the children.
"""

import argparse
import json
import random
from pathlib import Path
from statistics import mean
from typing import Any

import keras
import numpy as np

from benchmarks.replay.tables import HERE
from cnnsearch import SearchSpace
from cnnsearch.data import Dataset, load
from cnnsearch.oracles.points import mutate
from cnnsearch.space.candidate import Candidate
from cnnsearch.studies.fidelity.statistics import bootstrap_interval, compute_spearman
from cnnsearch.training.model import build

LONG, SHORT = 12, 4  # epochs
MOMENTUM = 0.9  # of normalization's moving statistics: trainings are short
CACHE = Path("build/weight_inheritance")
Weights = dict[str, Any]


def train(candidate: Candidate, data: Dataset, epochs: int, start: Weights, seed: int) -> Any:
    """Returns the accuracy on the validation split, the weights, and the share of them inherited.

    Mirrored and shifted images, AdamW with a cosine decay to zero at the last epoch.
    """
    keras.utils.set_random_seed(seed)
    network = build(
        candidate.architecture, mean=data.mean, std=data.std, batch_norm_momentum=MOMENTUM
    )
    augment = [keras.layers.RandomFlip("horizontal")]
    augment += [keras.layers.RandomTranslation(0.125, 0.125, fill_mode="nearest")]
    inputs = keras.Input(np.shape(data.train.images())[1:])
    seen = inputs
    for layer in augment:
        seen = layer(seen)
    model = keras.Model(inputs, network(seen))
    inherited = 0
    for weight in network.weights:
        given = start.get(weight.path)
        if given is not None and given.shape == tuple(weight.shape):
            weight.assign(given)
            inherited += given.size
    images, labels = np.asarray(data.train.images()), np.asarray(data.train.labels())
    steps = epochs * (len(images) // candidate.recipe.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(candidate.recipe.learning_rate, steps)
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"],
    )  # fmt: skip
    model.fit(images, labels, batch_size=candidate.recipe.batch_size, epochs=epochs, verbose=0)
    held = np.asarray(data.validation.images()), np.asarray(data.validation.labels())
    accuracy = model.evaluate(*held, batch_size=500, verbose=0, return_dict=True)["accuracy"]
    weights = {weight.path: np.asarray(weight).copy() for weight in network.weights}
    return accuracy, weights, inherited / sum(w.size for w in weights.values())


def main() -> None:
    """Trains all children, and prints the correlations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--children", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    space = SearchSpace.load(HERE / "own_table.yaml")
    data = load(given.data, image=space.input[:2], channels=None, cache=CACHE)
    rng, rows = random.Random(0), []
    for number in range(given.children):
        keras.backend.clear_session()
        parent = space.sample(rng)
        child = mutate(space.parameters, parent, rng)
        _, weights, _ = train(space.decode(parent), data, LONG, {}, number)
        candidate = space.decode(child)
        truth, _, _ = train(candidate, data, LONG, {}, number)
        short, _, _ = train(candidate, data, SHORT, {}, number)
        warm, _, share = train(candidate, data, SHORT, weights, number)
        row = {"truth": truth, "short": short, "inherited": warm, "share": share}
        rows.append({key: round(float(value), 4) for key, value in row.items()})
        print(number, rows[-1], flush=True)
    given.out.write_text(json.dumps({"children": rows}, indent=None) + "\n")
    summarize(rows)


def summarize(rows: list[dict[str, float]]) -> None:
    """Prints rank correlations with the truth."""
    truth = [row["truth"] for row in rows]
    for key in ("short", "inherited"):
        scores = [row[key] for row in rows]
        found = bootstrap_interval(compute_spearman, scores, truth)
        interval = f"{found.low:.3f} to {found.high:.3f}"
        print(f"{key}: {found.value:.3f} ({interval}), mean {mean(scores):.4f}")


if __name__ == "__main__":
    main()
