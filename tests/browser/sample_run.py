"""Writes a made-up search of 15 candidates, as the driver would: something to look at and to test.

python tests/browser/sample_run.py RUNS_ROOT [NAME]
"""

import math
import random
import sys
import time
from pathlib import Path

from cnnsearch.runs.directory import RunDirectory

MANIFEST = {
    "space": "mixed",
    "data": "digits",
    "strategy": "evolution",
    "seed": 0,
    "trials": 15,
    "epochs": 8,
    "max_macs": 5_000_000,
    "dataset": {
        "source": "digits",
        "fingerprint": "5f1c0e6f2a9b4d37",
        "classes": 10,
        "image": [16, 16],
        "channels": 1,
        "train": 1078,
        "validation": 359,
        "test": 360,
    },
}
ENVIRONMENT = {
    "python": "3.11",
    "keras": "3.15.1",
    "backend": "tensorflow",
    "device": "CPU",
    "git_revision": "0123456789abcdef0123456789abcdef01234567",
}
FAMILIES = ("residual", "dense", "separable", "inception", "plain")


def candidate(number, rng, epochs=8):
    """The data of a trial_started event."""
    family = rng.choice(FAMILIES)
    params = int(10 ** rng.uniform(3.8, 5.6))
    values = {
        "stages.0.block": family,
        "stages.0.depth": rng.randint(1, 4),
        "stages.0.width": rng.choice([16, 24, 32]),
        f"stages.1.block.{family}.kernel": rng.choice([3, 5]),
        "training.learning_rate": round(10 ** rng.uniform(-3, -1), 5),
        "training.optimizer": rng.choice(["adam", "sgd"]),
    }
    return {
        "number": number,
        "values": values,
        "architecture": {"input": [16, 16, 1], "classes": 10, "stages": [{"block": family}]},
        "recipe": {"learning_rate": values["training.learning_rate"], "epochs": epochs},
        "fingerprint": f"{rng.getrandbits(64):016x}",
        "family": family,
        "params": params,
        "params_total": int(params * 1.02),
        "macs": int(params * rng.uniform(8, 40)),
        "epochs": epochs,
        "initial_epoch": 0,
        "continues": None,
    }


def epoch(number, total, reach):
    """The data of an epoch event: a curve that climbs to ``reach``."""
    climbed = reach * (1 - 0.9 * math.exp(-3.5 * number / total))
    return {
        "epoch": number,
        "metrics": {
            "loss": 2.3 * (1 - climbed) + 0.02,
            "accuracy": min(1.0, climbed + 0.01),
            "val_loss": 2.3 * (1 - climbed) + 0.05,
            "val_accuracy": climbed,
            "learning_rate": 0.01 * (1 + math.cos(math.pi * number / total)) / 2,
            "seconds": 1.3,
        },
    }


def trial(db, number, rng, clock, *, epochs=8, failed=False):
    """Appends a whole candidate's events from the time ``clock``; returns when it ended."""
    key, started = f"{number:03d}", clock
    db.append("trial_started", candidate(number, rng, epochs), key, clock)
    reach = rng.uniform(0.85, 0.995)
    for step in range(1, 3 if failed else epochs + 1):
        clock += 1.3
        db.append("epoch", epoch(step, epochs, reach), key, clock)
    end = {"status": "completed", "score": db.get_history(key)[-1]["val_accuracy"], "reason": None}
    if failed:
        end = {"status": "failed", "score": None, "reason": "nan: the loss is not a number"}
    db.append("trial_ended", {**end, "metrics": {}, "seconds": clock - started}, key, clock)
    return clock


def search(run, trials=15, *, epochs=8, ended="trials"):
    """Appends a whole search's events, the fifth of its candidates a failed one."""
    rng, clock = random.Random(0), time.time() - 60 * trials
    run.db.append("run_started", {"resumed": False, "environment": ENVIRONMENT}, time=clock)
    for number in range(1, trials + 1):
        clock = trial(run.db, number, rng, clock + 0.5, epochs=epochs, failed=number == 5)
    if ended:
        run.db.append("run_ended", {"reason": ended}, time=clock)


def create(root, name="first"):
    """Makes the run's folder, without events."""
    return RunDirectory.create(Path(root), name, MANIFEST, "name: mixed\nstages: []\n")


if __name__ == "__main__":
    made = create(sys.argv[1], *sys.argv[2:3])
    search(made)
