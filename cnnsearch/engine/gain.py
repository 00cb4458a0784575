"""What the best candidate of a space gained over the plain baseline of its search."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cnnsearch.runs.ranking import find_best
from cnnsearch.runs.records import BASELINE, TrialRecord
from cnnsearch.training.metrics import compute_wilson_interval
from cnnsearch.training.objectives import DEFAULT_OBJECTIVE
from cnnsearch.utils.units import format_amount


@dataclass(frozen=True)
class Gain:
    """The score of the best candidate of the space minus the baseline's.

    Attributes:
        winner: id of the candidate.
        baseline: id of the baseline's trial.
        score: the baseline's.
        macs: the baseline's.
        gap: the difference; below zero if the baseline is better.
        low: lower end of its 95 % interval, which covers the validation images only; None: the
            score is no share of correctly classified images.
        high: upper end.
        images: in the validation split.
    """

    winner: str
    baseline: str
    score: float
    macs: int | None
    gap: float
    low: float | None
    high: float | None
    images: int


def measure_gain(trials: Sequence[TrialRecord], images: int, objective: str) -> Gain | None:
    """Returns the gain over the baseline.

    The interval is Newcombe's hybrid score interval of two proportions (1998, method 10,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I). It takes the two networks
    for independent, which makes it wide, and ignores that the winner was selected on these images.

    Args:
        trials: of the search.
        images: in the validation split.
        objective: name of what is scored.

    Returns:
        The gain; None: there is no baseline, or nothing else was trained.
    """
    plain = find_best([trial for trial in trials if trial.role == BASELINE])
    best = find_best([trial for trial in trials if trial.role != BASELINE])
    if plain is None or best is None:
        return None
    new, old = best.score or 0.0, plain.score or 0.0
    is_share = objective == DEFAULT_OBJECTIVE and images > 0
    low, high = _compare_shares(new, old, images) if is_share else (None, None)
    return Gain(best.id, plain.id, old, plain.macs, new - old, low, high, images)


def _compare_shares(new: float, old: float, images: int) -> tuple[float, float]:
    low, high = compute_wilson_interval(round(new * images), images)
    before_low, before_high = compute_wilson_interval(round(old * images), images)
    below = math.hypot(new - low, before_high - old)
    above = math.hypot(high - new, old - before_low)
    return new - old - below, new - old + above


def describe_gain(gain: Gain) -> str:
    """Returns one sentence that claims no more than the validation images support."""
    cost = f", {format_amount(gain.macs)} MACs" if gain.macs is not None else ""
    baseline = f"the plain baseline (trial {gain.baseline}, {gain.score:.2%}{cost})"
    points = f"{100 * abs(gain.gap):.2f} points"
    interval = _describe_interval(gain)
    if gain.gap <= 0:
        behind = f"is {points} below it" if gain.gap else "only equals it"
        return (
            f"Not better than {baseline}: the best candidate of the space, trial {gain.winner}, "
            f"{behind}{interval}."
        )
    if gain.low is not None and gain.low <= 0:
        return f"Not clearly better than {baseline}: {points} above it{interval}."
    return f"Better than {baseline} by {points}{interval}."


def _describe_interval(gain: Gain) -> str:
    if gain.low is None or gain.high is None:
        return ""
    ends = f"{100 * gain.low:+.2f} to {100 * gain.high:+.2f}"
    return f" (95 % interval {ends}, from {gain.images:,} validation images)"
