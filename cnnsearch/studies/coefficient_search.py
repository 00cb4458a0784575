"""Step 1 of compound scaling: alpha, beta and gamma by a small grid search at phi = 1.

Tan & Le (arXiv:1905.11946, section 3.3): of all proportions that about double the multiply-adds,
which network learns best? Each is a candidate of a run of its own.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.compound_scaling import CompoundScaling
from cnnsearch.architecture.cost import count
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.errors import CnnsearchError
from cnnsearch.oracles.grid import GridSearch
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import is_space
from cnnsearch.runs.ranking import rank_trials
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.search_space import Candidate, SearchSpace
from cnnsearch.utils.units import format_amount

if TYPE_CHECKING:
    from rich.table import Table

TARGET, TOLERANCE = 2.0, 0.05
INHERITED = ("data", "seed", "epochs", "skip_bad_images", "data_dir", "trial_timeout", "mlflow_uri")
FAIR = 1.1
"""How far above the target a candidate's own MACs may lie and still be compared on equal terms."""


@dataclass(frozen=True)
class Tried:
    """One proportion, the trial that tried it, and by how much it made the MACs grow."""

    scaling: CompoundScaling
    trial: TrialRecord
    growth: float

    @property
    def fair(self) -> bool:
        """Whether rounding left its growth near the target, so that accuracy can be compared."""
        return self.growth <= TARGET * FAIR


def proportions(step: float = 0.1) -> list[CompoundScaling]:
    """Returns every proportion on a grid whose growth is within 5 % of 2.

    Args:
        step: of the grid from 1 upwards, for each of alpha, beta and gamma.

    Raises:
        CnnsearchError: the step is out of range.
    """
    if not 0.02 <= step <= 0.5:
        raise CnnsearchError(f"--step: expected a number from 0.02 to 0.5, got {step:g}")
    axis = [round(1 + i * step, 6) for i in range(int(1.2 / step) + 1)]
    grid = (
        CompoundScaling(alpha=alpha, beta=beta, gamma=gamma)
        for alpha, beta, gamma in product(axis, repeat=3)
        if beta**2 * gamma**2 * alpha <= TARGET * (1 + TOLERANCE)
    )
    return [one for one in grid if abs(one.growth / TARGET - 1) <= TOLERANCE]


def scaling_space(baseline: Candidate, choices: Sequence[CompoundScaling]) -> SearchSpace:
    """Returns the space of ``baseline`` scaled at phi = 1 by each of ``choices``."""
    given = ("alpha", "beta", "gamma")
    data = {
        **baseline.architecture.to_data(),
        "recipe": baseline.recipe.to_data(),
        "scaling": {"choice": [{key: getattr(one, key) for key in given} for one in choices]},
    }
    name = baseline.architecture.name or "network"
    return SearchSpace.from_text(json.dumps(data, indent=1), f"{name}-scaling")


def search_scaling(
    baseline: Candidate,
    *,
    data: str | None = None,
    name: str,
    runs: Path,
    step: float = 0.1,
    callback: SearchCallback | None = None,
    **options: Any,
) -> list[Tried]:
    """Trains ``baseline`` scaled by every proportion of the grid, as a run of its own.

    Args:
        baseline: the network to scale, and the recipe that trains it.
        data: what to train on.
        name: of the run; the same name again goes on with it.
        runs: the folder that holds all runs.
        step: of the grid.
        callback: is told what happens.
        **options: more for :func:`cnnsearch.search`: epochs, seed, workers …

    Returns:
        What was tried, the best first; those whose MACs rounding has pushed well beyond the double
        come after all others.

    Raises:
        CnnsearchError: no data is named, or something of what was asked makes no sense.
    """
    from cnnsearch.engine.search import search

    if data is None:
        raise CnnsearchError("--data: name the images to train on, as no run has named them")
    choices = proportions(step)
    space = scaling_space(baseline, choices)
    result = search(
        space, data, strategy=GridSearch.name, trials=len(choices), name=name, runs=runs,
        callback=callback, **options,
    )  # fmt: skip
    return ranked(baseline.architecture, space, choices, result.trials)


def inherited(network: str, runs: Path) -> dict[str, Any]:
    """Returns how a run trained its candidates, so that the next run does it alike.

    Args:
        network: as the user names it; only a run's name, or ``RUN:TRIAL``, has something to give.
        runs: the folder that holds all runs.

    Returns:
        Options of :func:`search_scaling`; empty for a published network or a file.
    """
    run = network.partition(":")[0]
    if is_space(network) or not RunDirectory.exists(runs, run):
        return {}
    with closing(RunDirectory.open(runs, run)) as opened:
        settings = opened.manifest.get("settings", {})
    return {key: settings[key] for key in INHERITED if settings.get(key) is not None}


def ranked(
    baseline: Architecture,
    space: SearchSpace,
    choices: Sequence[CompoundScaling],
    trials: Sequence[TrialRecord],
) -> list[Tried]:
    """Returns the finished trials of a grid with their proportions, the best first.

    Growth is over ``baseline`` with the classes and channels of the trials' data.
    """
    if not trials:
        return []
    fitted = trials[0].architecture
    base = count(baseline.adapted(classes=fitted["classes"], channels=fitted["input"][2])).macs
    by_label: Mapping[Any, CompoundScaling] = dict(
        zip(space.parameters[0].options, choices, strict=True)
    )
    tried = [
        Tried(by_label[trial.values["scaling"]], trial, (trial.macs or 0) / base)
        for trial in rank_trials(trials)
    ]
    return sorted(tried, key=lambda one: not one.fair)


def tried_data(one: Tried) -> dict[str, Any]:
    """Returns what was tried as plain data."""
    found = {**one.scaling.model_dump(), "growth": one.growth, "fair": one.fair}
    trial = one.trial
    return {**found, "trial": trial.id, "macs": trial.macs, "val_accuracy": trial.score}


def tried_table(tried: Sequence[Tried]) -> "Table":
    """Returns what was tried as a table, the best first."""
    from rich.table import Table

    table = Table(title="alpha * beta^2 * gamma^2 within 5 % of 2, phi = 1", title_justify="left")
    for name in ("alpha", "beta", "gamma", "predicted", "growth", "params", "MACs", "val accuracy"):
        table.add_column(name, justify="right")
    table.add_column("note")
    for one in tried:
        scaling, trial = one.scaling, one.trial
        table.add_row(
            *(f"{number:g}" for number in (scaling.alpha, scaling.beta, scaling.gamma)),
            f"{scaling.growth:.2f}",
            f"{one.growth:.2f}",
            format_amount(trial.params),
            format_amount(trial.macs),
            f"{trial.score or 0.0:.2%}",
            "" if one.fair else "rounded well beyond 2",
        )
    return table
