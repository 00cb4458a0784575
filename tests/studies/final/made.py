"""A final training whose models are made up: everything but training and prediction is real."""

import json
from pathlib import Path

import numpy as np

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.data import Dataset
from cnnsearch.engine.display.lines import Quiet
from cnnsearch.engine.settings import Settings
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.final.entrants import Entrant
from cnnsearch.studies.final.plan import FinalPlan
from cnnsearch.studies.final.predict import FILE
from cnnsearch.studies.final.run import create_run

SPACE = """
input: [8, 8, 1]
classes: 10
stem: [{type: conv, filters: {choice: [4, 8]}}]
recipe: {epochs: 1}
"""


def made_run(
    root: Path, data: Dataset, shares: dict[str, list[float]], *, name: str = "f",
    hold_out: bool = False, failed: tuple[str, ...] = (),
) -> RunDirectory:  # fmt: skip
    """Returns a run that is trained and has predictions, but is not evaluated.

    Args:
        root: of all runs.
        data: digits.
        shares: of right answers of each seed, by role.
        name: of the run.
        hold_out: whether validation was held out.
        failed: ids of trainings that failed.
    """
    space = SearchSpace.from_text(SPACE, "space")
    settings = Settings.create(SPACE, "space", mlflow_uri=None)
    entrants = tuple(
        Entrant.model_validate(
            {"role": role, "label": label(role), "architecture": network, "recipe": recipe}
        )
        for role, filters in zip(shares, (4, 8, 8), strict=False)
        for network, recipe in [unpacked(space, filters)]
    )
    seeds = len(next(iter(shares.values())))
    plan = FinalPlan(
        source="s:best", run="s", seeds=seeds, epochs=2, hold_out=hold_out, entrants=entrants
    )
    run = create_run(root, name, settings, data, plan, Quiet())
    for number, (trial, index, seed) in enumerate(plan.list_slots(), start=1):
        begin(run, trial, number, entrants[index], index, seed)
        end(run, trial, None if trial in failed else 0.5 + seed / 10)
        if trial not in failed:
            answer(run.trial_dir(trial), data, list(shares.values())[index][seed])
    return run


def label(role: str) -> str:
    return {"winner": "s:0001", "random": "s-random:0002"}.get(role, "resnet-20-cifar")


def unpacked(space: SearchSpace, filters: int) -> tuple[Architecture, TrainingRecipe]:
    found = space.decode({space.parameters[0].name: filters})
    return found.architecture, found.recipe


def begin(
    run: RunDirectory, trial: str, number: int, entrant: Entrant, index: int, seed: int
) -> None:
    candidate, cost = entrant.candidate, count(entrant.candidate.architecture)
    started = {
        "number": number,
        "values": {
            "role": entrant.role, "network": entrant.label, "seed": seed, "entrant": index,
        },
        "architecture": candidate.architecture.to_data(),
        "recipe": candidate.recipe.to_data(),
        "fingerprint": candidate.fingerprint,
        "family": candidate.architecture.family,
        "params": cost.params,
        "params_total": cost.params_total,
        "macs": cost.macs,
        "epochs": 2,
        "initial_epoch": 0,
        "continues": None,
    }  # fmt: skip
    run.db.append("trial_started", started, trial)


def end(run: RunDirectory, trial: str, score: float | None) -> None:
    ended = {
        "status": "failed" if score is None else "completed",
        "score": score,
        "reason": "nan: the loss became nan in epoch 1" if score is None else None,
        "metrics": {} if score is None else {"accuracy": score, "peak_memory_mb": 300.0},
        "seconds": 12.0,
    }
    run.db.append("trial_ended", ended, trial)


def answer(folder: Path, data: Dataset, share: float) -> None:
    """Writes answers of which that share is right; the same images are hard for all."""
    labels = data.test.labels()
    hard = np.random.default_rng(0).permutation(len(labels)) >= round(share * len(labels))
    said = np.where(hard, (labels + 1) % 10, labels)
    probabilities = np.full((len(labels), 10), 0.02, np.float32)
    probabilities[np.arange(len(labels)), said] = 0.82
    latency = {"latency_ms_batch_1": 1.5, "latency_ms_batch_32": 9.0}
    np.savez(
        folder / FILE,
        probabilities=probabilities,
        labels=labels,
        latency=np.array(json.dumps(latency)),
    )
