"""One contender of ``peers.py`` in a process of its own; prints its result as a line of JSON.

Every contender has the same images, splits, budget and time, the start of its process included, and
ends with a training of its winner on the training and validation splits, for as many epochs as the
rest of the time allows, and one evaluation on the test split.
"""

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cnnsearch
from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import Budget
from cnnsearch.data import Dataset, load
from cnnsearch.data.inspection import describe
from cnnsearch.engine.machine import Machine
from cnnsearch.engine.proposal import propose
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.baseline import make_baseline
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.published import load_published
from cnnsearch.space.search_space import SearchSpace

RESNET = "resnet-20-cifar-b"
SEARCHED = 0.2  # share of the time until which candidates are searched
EPOCHS = 5  # of a candidate; the rest of the time is the final training's
SPARED = 0.1  # share of the rest that the final training leaves for start, evaluation and noise
PROBED = 3  # epochs that show how long one of a fixed network takes
MOST_EPOCHS = 400  # of a final training


@dataclass(frozen=True)
class Task:
    """What all contenders are given.

    Attributes:
        space: name or file.
        data: as ``--data`` takes it.
        budget: of a candidate.
        seed: of search and splits.
        until: end of the time, in Unix seconds.
        seconds: of the whole time.
        folder: for files.
    """

    space: str
    data: str
    budget: Budget
    seed: int
    until: float
    seconds: float
    folder: Path

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.until - time.time()

    @property
    def searching(self) -> float:
        """Seconds that are left for searching."""
        return max(1.0, self.left - (1 - SEARCHED) * self.seconds)

    def load(self) -> tuple[SearchSpace, Dataset]:
        """Returns the space for the data, and the data as ``cnnsearch.search`` splits it."""
        space = SearchSpace.load(self.space)
        size = space.input[:2]
        cache = self.folder / "runs" / ".cache"
        data = load(self.data, image=size, channels=None, cache=cache, seed=self.seed)
        return space.adapt(classes=data.classes, channels=data.channels), data

    def fit_epochs(self, pace: float) -> int:
        """Returns how many epochs of ``pace`` seconds fit into the time that is left."""
        return max(1, min(MOST_EPOCHS, math.floor((1 - SPARED) * self.left / pace)))


def search(task: Task, **settings: Any) -> dict[str, Any]:
    """Searches, then trains the winner."""
    given = {"max_macs": task.budget.max_macs, "max_params": task.budget.max_params}
    return search_and_train(
        task, task.space, trials=None, epochs=EPOCHS, max_time=f"{task.searching:.0f}s", **given,
        **settings,
    )  # fmt: skip


def search_proposed(task: Task) -> dict[str, Any]:
    """Searches the space, for the epochs, that ``cnnsearch init`` proposes for images and time."""
    cache = task.folder / "runs" / ".cache"
    given = {"max_time": task.searching, "seed": task.seed}
    budget = {"max_macs": task.budget.max_macs, "max_params": task.budget.max_params}
    given |= {key: value for key, value in budget.items() if value is not None}
    report = describe(task.data, seed=task.seed, cache=cache)
    proposal = propose(report, Machine.read(), given)
    path = task.folder / "proposed.yaml"
    path.write_text(proposal.space)
    settings = {**proposal.settings, "max_time": f"{task.searching:.0f}s", "trials": None}
    del settings["seed"]
    return search_and_train(task, str(path), **settings)


def train_plain(task: Task) -> dict[str, Any]:
    """Trains the plain baseline for the whole time."""
    space, _ = task.load()
    found = make_baseline(space, task.budget)
    if found is None:
        raise CnnsearchError("no plain network meets the budget")
    return train_network(task, found)


def train_resnet(task: Task) -> dict[str, Any]:
    """Trains ResNet-20 for the whole time, whatever the budget."""
    space, data = task.load()
    plain = make_baseline(space, Budget())
    if plain is None:
        raise CnnsearchError("the images are too small")
    network = load_published(RESNET)
    fitted = network.adapt(classes=data.classes, channels=data.channels, image=data.image)
    return train_network(task, Candidate(fitted, plain.recipe))


def train_network(task: Task, candidate: Candidate) -> dict[str, Any]:
    """Trains one network for the whole time; a few epochs show how many fit."""
    path = task.folder / "network.yaml"
    path.write_text(SearchSpace.from_architecture(candidate.architecture, candidate.recipe).text)
    return search_and_train(task, str(path), trials=1, epochs=PROBED, strategy="random")


def search_and_train(task: Task, space: str, **settings: Any) -> dict[str, Any]:
    """Runs a search with cnnsearch and trains its winner for the rest of the time."""
    runs = task.folder / "runs"
    where = {"name": "search", "runs": runs, "seed": task.seed, "workers": 0}
    result = cnnsearch.search(space, task.data, **where, **settings)
    if result.best is None:
        raise CnnsearchError("no candidate was trained within the time")
    with closing(RunDirectory.open(runs, "search")) as run:
        sizes = run.manifest["dataset"]
        epochs = [float(e["seconds"]) for e in run.db.get_history(result.best.id) if "seconds" in e]
    pace = (
        statistics.median(epochs[1:] or epochs)
        * (  # the first compiles
            sizes["train"] + sizes["validation"]
        )
        / sizes["train"]
    )
    final = cnnsearch.train_final(
        "best", "search", runs=runs, seeds=1, epochs=task.fit_epochs(pace), references="none",
        name="final", workers=0,
    )  # fmt: skip
    (row,) = final.rows
    best = result.best
    return {
        "test_accuracy": row.accuracy.mean, "params": row.params, "macs": row.macs,
        "final_epochs": final.run.db.get_trials()[0].epochs, "val_score": best.score,
        "candidates": sum(t.score is not None for t in result.trials),
        "winner": best.label, "architecture": Architecture.from_data(best.architecture).data_hash,
    }  # fmt: skip


def tune(task: Task, name: str) -> dict[str, Any]:
    """Runs a tuner of Keras Tuner over the same space, then trains its winner."""
    from tuners import run_tuner

    return run_tuner(task, name)


def write_by_hand(task: Task, name: str) -> dict[str, Any]:
    """Runs a program that uses nothing of cnnsearch but the images."""
    import handwritten

    found: dict[str, Any] = getattr(handwritten, name)(task)
    return {**found, "architecture": ""}


def search_other(task: Task, name: str) -> dict[str, Any]:
    """Searches a space of another library."""
    import other_spaces

    found: dict[str, Any] = getattr(other_spaces, name)(task)
    return {**found, "architecture": ""}


CONTENDERS: dict[str, Callable[[Task], dict[str, Any]]] = {
    "cnnsearch": search,
    "cnnsearch-init": search_proposed,
    "cnnsearch-random": lambda task: search(task, strategy="random"),
    "plain": train_plain,
    "resnet-20": train_resnet,
    "keras-tuner-random": lambda task: tune(task, "random"),
    "keras-tuner-hyperband": lambda task: tune(task, "hyperband"),
    "keras-tuner-bayesian": lambda task: tune(task, "bayesian"),
    "plain-keras": lambda task: write_by_hand(task, "train_plain_keras"),
    "optuna": lambda task: write_by_hand(task, "search_with_optuna"),
    "keras-tuner-hyperresnet": lambda task: search_other(task, "search_hyperresnet"),
    "autokeras": lambda task: search_other(task, "run_autokeras"),
}


def main() -> None:
    """Runs one contender."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("contender", choices=CONTENDERS)
    for name in ("space", "data"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("seed", "cores", "max-macs", "max-params"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--started", type=float, required=True, help="in Unix seconds")
    asked = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.cores])
    with tempfile.TemporaryDirectory() as folder:
        task = Task(
            asked.space, asked.data, Budget(asked.max_params, asked.max_macs), asked.seed,
            asked.started + asked.seconds, asked.seconds, Path(folder),
        )  # fmt: skip
        found = CONTENDERS[asked.contender](task)
        print(json.dumps({**found, "seconds": time.time() - asked.started}), flush=True)


if __name__ == "__main__":
    main()
