"""The Pareto front of a search for several objectives, and its hypervolume."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnsearch.architecture.costs import CostKind
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.ranking import find_pareto_front
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.objectives import costs_of, objective_of
from cnnsearch.training.objectives.front import compute_hypervolume
from cnnsearch.utils.units import pluralize


@dataclass(frozen=True)
class Front:
    """A Pareto front and the volume that it dominates.

    Attributes:
        trials: on the front, cheapest first.
        measured: the metric, in words.
        costs: the other objectives.
        reference: a limit for each of them: the budget, or the most of any finished candidate.
        hypervolume: share of the box from the reference point (a score of 0, and ``reference``)
            to a score of 1 without costs.
    """

    trials: tuple[TrialRecord, ...]
    measured: str
    costs: tuple[CostKind, ...]
    reference: tuple[float, ...]
    hypervolume: float

    def describe(self) -> str:
        """Returns the front in one line."""
        names = " and ".join([self.measured, *(cost.label for cost in self.costs)])
        limits = zip(self.reference, self.costs, strict=True)
        point = ", ".join(cost.describe(limit) for limit, cost in limits)
        return (
            f"Pareto front of {names}: {pluralize(len(self.trials), 'candidate')}, hypervolume"
            f" {self.hypervolume:.4f} (reference point: {self.measured} 0, {point})"
        )

    def explain_best(self) -> str:
        """Returns which candidate of the front ``best`` means."""
        return (
            f"best is the candidate with the highest {self.measured} of"
            f" {len(self.trials)} on the Pareto front"
        )


def measure_front(settings: Mapping[str, Any], trials: Sequence[TrialRecord]) -> Front | None:
    """Returns the front of a search; None: it has one objective, or no finished candidate.

    Args:
        settings: of the run, as recorded.
        trials: all of the run.
    """
    costs = costs_of(settings)
    front = find_pareto_front(trials, costs)
    if not costs or not front:
        return None
    finished = [trial for trial in trials if trial.score is not None]
    reference = tuple(_find_limit(cost, settings, finished) for cost in costs)
    shares = [
        [-(cost.read(trial) or 0) / limit for cost, limit in zip(costs, reference, strict=True)]
        for trial in front
    ]
    points = [(trial.score or 0.0, *paid) for trial, paid in zip(front, shares, strict=True)]
    volume = compute_hypervolume(points, (0.0, *(-1.0 for _ in costs)))
    return Front(tuple(front), objective_of(settings).title, costs, reference, volume)


def find_front(run: RunDirectory) -> Front | None:
    """Returns the front of a run, as :func:`measure_front`."""
    return measure_front(run.manifest.get("settings", {}), run.db.get_trials())


def _find_limit(
    cost: CostKind, settings: Mapping[str, Any], finished: Sequence[TrialRecord]
) -> float:
    budget: float | None = settings.get(cost.budget)
    return budget or max(cost.read(trial) or 0 for trial in finished) or 1
