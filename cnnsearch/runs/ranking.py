"""Ranks the trials of a run: the leaderboard, the Pareto front, the best."""

from collections.abc import Sequence
from typing import Literal

from cnnsearch.runs.records import TrialRecord

CostName = Literal["macs", "params"]


def select_last_rungs(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Returns each candidate's last rung: a trial whose promotion has a score is left out."""
    promoted = {trial.continues for trial in trials if trial.score is not None}
    return [trial for trial in trials if trial.id not in promoted]


def rank_trials(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Returns the last rung of each finished candidate, best first; of equals, the cheaper."""
    finished = [trial for trial in select_last_rungs(trials) if trial.score is not None]
    return sorted(finished, key=lambda t: (-(t.score or 0.0), t.macs or 0, t.number))


def find_best(trials: Sequence[TrialRecord]) -> TrialRecord | None:
    """Returns the trial at the top of the leaderboard; None: no trial is finished."""
    return next(iter(rank_trials(trials)), None)


def find_pareto_front(trials: Sequence[TrialRecord], cost: CostName = "macs") -> list[TrialRecord]:
    """Returns the candidates that no other one beats in both score and cost, cheapest first."""
    front: list[TrialRecord] = []
    priced = [trial for trial in rank_trials(trials) if getattr(trial, cost) is not None]
    for trial in sorted(
        priced, key=lambda t: int(getattr(t, cost))
    ):  # of equals, the best is first
        if not front or (trial.score or 0.0) > (front[-1].score or 0.0):
            front.append(trial)
    return front
