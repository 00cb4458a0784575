"""Runs as searches leave them, written at once: no training, and no honest scores either."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from cnnsearch.architecture.costs import list_bounds
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.search_space import SearchSpace

Make = Callable[..., RunDirectory]
HOSTILE = "<script>alert('x')</script>"


def write_run(
    root: Path,
    name: str = "r",
    trials: int = 30,
    space: str = "tiny",
    seed: int = 0,
    names: Mapping[int, str] = MappingProxyType({}),
    **more: Any,
) -> RunDirectory:
    """Writes a run of a shipped space with invented scores, every tenth candidate failed.

    ``names`` are other families of some candidates, by number.
    """
    loaded = SearchSpace.load(space)
    settings = {
        "source": space, "data": "digits", "strategy": "random", "epochs": None, "seed": seed,
        "max_params": None, "max_macs": None, "objective": "accuracy", "trials": trials,
        "changes": [], **more,
    }  # fmt: skip
    dataset = {
        "source": f"photos {HOSTILE}", "fingerprint": "0" * 32, "class_names": ["a", HOSTILE],
        "image": [16, 16], "channels": 1, "train": 100, "validation": 20, "test": 20,
    }  # fmt: skip
    manifest = {
        "space": space, "settings": settings, "identity": {}, "dataset": dataset,
        "environment": {"device": "CPU (2 cores)", "python": "3.11"},
    }  # fmt: skip
    run = RunDirectory.create(root, name, manifest, loaded.text)
    rng, clock = random.Random(seed), 1e9
    run.db.append("run_started", {"resumed": False, "environment": {}}, time=clock)
    with run.db.transaction():
        for number in range(1, trials + 1):
            clock = _write_trial(run, loaded, rng, number, clock, names.get(number, ""))
    run.db.append("run_ended", {"reason": "trials"}, time=clock + 1)
    return run


def _write_trial(
    run: RunDirectory,
    space: SearchSpace,
    rng: random.Random,
    number: int,
    clock: float,
    family: str = "",
) -> float:
    trial, values = f"{number:04d}", space.sample(rng)
    candidate, cost = space.decode(values), space.cost(values)
    start = {
        "number": number, "values": values, "architecture": candidate.architecture.to_data(),
        "recipe": {}, "fingerprint": candidate.fingerprint, "params": cost.params,
        "family": family or candidate.architecture.family, "params_total": cost.params_total,
        "macs": cost.macs, "epochs": 3, "initial_epoch": 0, "continues": None,
    }  # fmt: skip
    bounded = {kind.key: kind.read(cost) for kind, _ in list_bounds(run.manifest["settings"])}
    start |= {**bounded, **({"latency_ms": cost.macs / 1e6} if "latency_ms" in bounded else {})}
    score = 0.6 + 0.3 * min(1.0, cost.macs / 3e6) + 0.05 * rng.random()
    run.db.append("trial_started", start, trial, time=clock)
    for epoch in range(1, 4):
        metrics = {"loss": 1 / epoch, "val_accuracy": score * epoch / 3}
        run.db.append("epoch", {"epoch": epoch, "metrics": metrics}, trial, time=clock + epoch)
    failed = number % 10 == 0
    ended = {
        "status": "failed" if failed else "completed", "score": None if failed else score,
        "reason": f"nan: the loss became nan {HOSTILE}" if failed else None, "metrics": {},
        "seconds": 4.0,
    }  # fmt: skip
    run.db.append("trial_ended", ended, trial, time=clock + 5)
    return clock + 6


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda name="r", **options: write_run(tmp_path, name, **options)
