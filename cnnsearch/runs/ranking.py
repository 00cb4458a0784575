"""Ranks the trials of a run: the leaderboard, the Pareto front, the best."""

from collections.abc import Sequence

from cnnsearch.architecture.costs import MACS, CostKind
from cnnsearch.runs.records import TrialRecord


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


def find_pareto_front(
    trials: Sequence[TrialRecord], costs: Sequence[CostKind] = ()
) -> list[TrialRecord]:
    """Returns the candidates that no other one beats in score and all costs, cheapest first.

    Args:
        trials: of a run.
        costs: that count beside the score; none: MACs.
    """
    counted = costs or (MACS,)
    front: list[tuple[list[float], TrialRecord]] = []
    priced = [([cost.read(trial) for cost in counted], trial) for trial in rank_trials(trials)]
    known = [([p for p in prices if p is not None], trial) for prices, trial in priced]
    complete = [each for each in known if len(each[0]) == len(counted)]
    for prices, trial in sorted(complete, key=lambda each: each[0]):  # of equals, the best is first
        beaten = (
            (kept.score or 0.0) >= (trial.score or 0.0)
            and all(a <= b for a, b in zip(paid, prices, strict=True))
            for paid, kept in front
        )
        if not any(beaten):
            front.append((prices, trial))
    return [trial for _, trial in front]
