"""The Pareto front of a search for several objectives, and its hypervolume."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.architecture.costs import COUNTED, MACS, CostKind, choose_columns
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.ranking import find_pareto_front, rank_trials
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


def list_tradeoffs(
    settings: Mapping[str, Any] | None, trials: Sequence[TrialRecord]
) -> list[CostKind]:
    """Returns the costs that figures show scores against: objectives first, then MACs.

    Args:
        settings: of the run: what it limits is shown too.
        trials: of the run. A cost that fewer than two finished candidates have is left out.
    """
    objectives, ranked = costs_of(settings), rank_trials(trials)
    shown = [
        kind
        for kind in choose_columns(settings, objectives)
        if kind.has_budget and sum(bool(kind.read(trial)) for trial in ranked) > 1
    ]
    return sorted(shown, key=lambda kind: (kind not in objectives, kind is not MACS))


def count_missing(trials: Sequence[TrialRecord], kinds: Sequence[CostKind]) -> list[TrialRecord]:
    """Returns the trials with costs that the search did not count, where they can be counted."""
    keys = [kind.key for kind in kinds if kind in COUNTED]
    return [
        _count(trial) if any(getattr(trial, key) is None for key in keys) else trial
        for trial in trials
    ]


def _count(trial: TrialRecord) -> TrialRecord:
    try:
        found = count(Architecture.from_data(dict(trial.architecture)))
    except CnnsearchError:  # it has a block of a later version
        return trial
    counted: dict[str, Any] = {kind.key: kind.read(found) for kind in COUNTED}
    return replace(trial, **counted)


def find_front(run: RunDirectory) -> Front | None:
    """Returns the front of a run, as :func:`measure_front`."""
    return measure_front(run.manifest.get("settings", {}), run.db.get_trials())


def _find_limit(
    cost: CostKind, settings: Mapping[str, Any], finished: Sequence[TrialRecord]
) -> float:
    budget: float | None = settings.get(cost.budget)
    return budget or max(cost.read(trial) or 0 for trial in finished) or 1
