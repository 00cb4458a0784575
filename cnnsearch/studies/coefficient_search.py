"""Step 1 of compound scaling: alpha, beta and gamma by a small grid search at phi = 1.

Tan & Le (arXiv:1905.11946, section 3.3): of all proportions that about double the multiply-adds,
which network learns best? Each proportion is a candidate of a search by grid.
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
from cnnsearch.architecture.costs import BOUNDED, COUNTED
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.settings import SETTINGS
from cnnsearch.errors import CnnsearchError
from cnnsearch.oracles.grid import GridSearch
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import is_space
from cnnsearch.runs.ranking import rank_trials
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.units import format_amount

if TYPE_CHECKING:
    from rich.table import Table

TARGET, TOLERANCE = 2.0, 0.05
FAIR = 1.1
"""A candidate whose MACs exceed the target by more than this factor has an unfair advantage."""
OWN = frozenset(
    {"strategy", "trials", "max_time", *(kind.budget for kind in BOUNDED)}  # the grid decides
    | {"image", "weights", "freeze"}  # the baseline decides; no published weights fit scaled layers
    | {"workers"}
    | {"device", "latency_precision", "latency_table"}  # of budgets
    | {"baseline", "first", "learn_from", "max_train_time", "min_epochs", "reduction_factor"}
    | {"stop_when_enough"}  # every proportion is trained
)
"""Settings that a coefficient search does not take over from the baseline's run."""


@dataclass(frozen=True)
class ScalingResult:
    """A proportion, the trial that trained it, and the factor by which the MACs grew."""

    scaling: CompoundScaling
    trial: TrialRecord
    growth: float

    @property
    def fair(self) -> bool:
        """Whether the growth is near the target despite rounding, so that accuracy compares."""
        return self.growth <= TARGET * FAIR

    def to_data(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        trial = self.trial
        return {
            **self.scaling.model_dump(),
            "growth": self.growth,
            "fair": self.fair,
            "trial": trial.id,
            **{kind.key: kind.read(trial) for kind in COUNTED},
            "score": trial.score,
            "val_accuracy": trial.metrics.get("val_accuracy"),
        }


def list_proportions(step: float = 0.1) -> list[CompoundScaling]:
    """Returns every proportion on a grid of this step, from 1 upwards, that about doubles the MACs.

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


def make_scaling_space(baseline: Candidate, choices: Sequence[CompoundScaling]) -> SearchSpace:
    """Returns the space of ``baseline`` scaled at phi = 1 by each of ``choices``."""
    keys = {"alpha", "beta", "gamma"}
    data = {
        **baseline.architecture.to_data(),
        "recipe": baseline.recipe.to_data(),
        "scaling": {"choice": [one.model_dump(include=keys) for one in choices]},
    }
    name = baseline.architecture.name or "network"
    return SearchSpace.from_text(json.dumps(data, indent=1), f"{name}-scaling")


def search_coefficients(
    baseline: Candidate,
    *,
    data: str | None = None,
    name: str,
    runs: Path,
    step: float = 0.1,
    callback: SearchCallback | None = None,
    **settings: Any,
) -> list[ScalingResult]:
    """Trains ``baseline`` scaled by every proportion of the grid, as a run of its own.

    Returns the results, best first; those with an unfair growth come after all others.
    ``settings`` are those of :func:`cnnsearch.search`: epochs, seed, workers …

    Raises:
        CnnsearchError: there is no data, or a setting is invalid.
    """
    from cnnsearch.engine.search import search

    if data is None:
        raise CnnsearchError("--data: name the images to train on, as no run has named them")
    choices = list_proportions(step)
    space = make_scaling_space(baseline, choices)
    result = search(
        space, data, strategy=GridSearch.name, baseline="none", trials=len(choices), name=name,
        runs=runs, callback=callback, **settings,
    )  # fmt: skip
    return rank_results(baseline.architecture, space, choices, result.trials)


def inherit_settings(network: str, runs: Path) -> dict[str, Any]:
    """Returns the settings of a network's run, so that the coefficient search trains alike.

    Empty for a published network or a file: only ``RUN`` and ``RUN:TRIAL`` have settings.
    """
    run = network.partition(":")[0]
    if is_space(network) or not RunDirectory.exists(runs, run):
        return {}
    with closing(RunDirectory.open(runs, run)) as opened:
        settings = opened.manifest.get("settings", {})
    return {
        key: value
        for key, value in settings.items()
        if key in SETTINGS and key not in OWN and value is not None
    }


def rank_results(
    baseline: Architecture,
    space: SearchSpace,
    choices: Sequence[CompoundScaling],
    trials: Sequence[TrialRecord],
) -> list[ScalingResult]:
    """Returns the finished trials of a grid with their proportions, the best first.

    Growth is relative to ``baseline`` with the classes and channels of the trials' data.
    """
    if not trials:
        return []
    trained = trials[0].architecture
    base = count(baseline.adapt(classes=trained["classes"], channels=trained["input"][2])).macs
    by_label: Mapping[Any, CompoundScaling] = dict(
        zip(space.parameters[0].options, choices, strict=True)
    )
    results = [
        ScalingResult(by_label[trial.values["scaling"]], trial, (trial.macs or 0) / base)
        for trial in rank_trials(trials)
    ]
    return sorted(results, key=lambda one: not one.fair)


def make_scaling_table(results: Sequence[ScalingResult], metric: str = "val accuracy") -> "Table":
    """Returns the results as a table, the best first; ``metric`` is the name of the score."""
    from rich.table import Table

    table = Table(title="alpha * beta^2 * gamma^2 within 5 % of 2, phi = 1", title_justify="left")
    for name in ("alpha", "beta", "gamma", "predicted", "growth", "params", "MACs", metric):
        table.add_column(name, justify="right")
    table.add_column("note")
    for one in results:
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
