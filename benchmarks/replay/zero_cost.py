"""What gradients of untrained networks tell of their accuracy, beside parameters and MACs.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.replay.zero_cost FOLDER

For each architecture of ``own_table.yaml``, with random weights and one batch of 256 training
images: the sum of the layers' gradient norms, SNIP (Lee et al., arXiv:1810.02340) and SynFlow
(Tanaka et al., arXiv:2006.05467), which Abdelfattah et al. (arXiv:2101.08134) score networks by.
Their rank correlations with the best accuracy of the architecture's trainings are printed, and
that of a ridge regression on log parameters and log MACs, without and with all three, each
architecture predicted from the others; with 95 % intervals over architectures.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.replay.curves import make_key
from benchmarks.replay.tables import HERE
from cnnsearch import SearchSpace
from cnnsearch.data import Dataset, load
from cnnsearch.space.candidate import Candidate
from cnnsearch.studies.fidelity.statistics import bootstrap_interval, compute_spearman
from cnnsearch.training.model import build

IMAGES, PENALTY = 256, 1.0
RATE = "recipe.learning_rate"
CACHE = Path("build/zero_cost")


def score(candidate: Candidate, data: Dataset) -> dict[str, float]:
    """Returns the values of one network with random weights."""
    keras.utils.set_random_seed(0)
    model = build(candidate.architecture, mean=data.mean, std=data.std)
    images = tf.constant(np.asarray(data.train.images())[:IMAGES])
    labels = tf.constant(np.asarray(data.train.labels())[:IMAGES])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    weights = [weight.value for weight in model.trainable_weights]
    with tf.GradientTape() as tape:
        value = loss(labels, model(images, training=True))
    gradients = [np.asarray(g) for g in tape.gradient(value, weights)]
    found = {
        "gradient norm": sum(float(np.linalg.norm(g)) for g in gradients),
        "SNIP": sum(
            float(np.abs(g * np.asarray(w)).sum()) for g, w in zip(gradients, weights, strict=True)
        ),
    }
    for weight in model.trainable_weights:
        weight.assign(np.abs(np.asarray(weight)))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(model(tf.ones_like(images[:1]), training=False))
    flows = zip(tape.gradient(value, weights), weights, strict=True)
    found["SynFlow"] = sum(float(np.abs(np.asarray(g) * np.asarray(w)).sum()) for g, w in flows)
    return found


def predict_others(features: Any, truth: Any) -> Any:
    """Returns ridge predictions, each from all other architectures."""
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    predicted = np.empty(len(truth))
    for one in range(len(truth)):
        rest = np.arange(len(truth)) != one
        x, y = scaled[rest], truth[rest] - truth[rest].mean()
        predicted[one] = scaled[one] @ np.linalg.solve(
            x.T @ x + PENALTY * np.eye(x.shape[1]), x.T @ y
        )
    return predicted


def describe(found: Any, truth: Any) -> str:
    """Returns the rank correlation with its interval."""
    spearman = bootstrap_interval(compute_spearman, found, truth)
    return f"{spearman.value:+.3f} ({spearman.low:+.3f} to {spearman.high:+.3f})"


def main() -> None:
    """Scores every architecture, and prints the correlations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    given = parser.parse_args()
    space = SearchSpace.load(HERE / "own_table.yaml")
    data = load(given.data, image=space.input[:2], channels=None, cache=CACHE)
    best: dict[str, dict[str, Any]] = {}
    for row in json.loads((HERE / "own_table.json").read_text())["candidates"]:
        key = make_key({k: v for k, v in row["values"].items() if k != RATE})
        if key not in best or max(row["val_accuracy"]) > max(best[key]["val_accuracy"]):
            best[key] = row
    rows = list(best.values())
    truth = np.array([max(row["val_accuracy"]) for row in rows])
    columns = {name: np.log([row[name] for row in rows]) for name in ("params", "macs")}
    scores = [score(space.decode(row["values"]), data) for row in rows]
    zero = {name: np.log([each[name] for each in scores]) for name in scores[0]}
    print(f"{len(rows)} architectures; rank correlation with the best of three trainings")
    for name, values in {**columns, **zero}.items():
        print(f"{name:<32}{describe(values, truth)}")
    sizes, every = (np.column_stack(list(v.values())) for v in (columns, {**columns, **zero}))
    for name, features in {"ridge: params, macs": sizes, "ridge: and the three": every}.items():
        print(f"{name:<32}{describe(predict_others(features, truth), truth)}")


if __name__ == "__main__":
    main()
