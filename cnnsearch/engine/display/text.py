"""What the displays say of a search and of its candidates."""

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cnnsearch.architecture.costs import BOUNDED, describe_costs, read_costs
from cnnsearch.engine.display.callback import Overview, Summary
from cnnsearch.engine.gain import describe_gain
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.objectives import OBJECTIVES
from cnnsearch.utils.units import format_time, pluralize

WHY = {
    "trials": "all requested candidates are trained",
    "exhausted": "every candidate of the space within the budget has been trained",
    "slow": "no other candidate was found that is predicted to train within --max-train-time",
    "schedule": "the strategy's schedule is complete",
    "enough": "a further candidate is unlikely to be better by more than noise",
    "time": "the time is up",
    "interrupted": "interrupted",
}


def describe_trial(trial: TrialRecord) -> dict[str, Any]:
    """Returns a trial as plain data for JSON."""
    return {
        "id": trial.id,
        "status": trial.status,
        "family": trial.family,
        "role": trial.role,
        "network": trial.network,
        **read_costs(trial),
        "epochs": trial.epochs,
        "continues": trial.continues,
        "val_accuracy": trial.metrics.get("val_accuracy"),
        **{key: trial.metrics[key] for key in _list_quantized() if key in trial.metrics},
        "score": trial.score,
        "seconds": trial.seconds,
        "predicted_seconds": trial.predicted_seconds,
        "reason": trial.reason,
        "values": dict(trial.values),
    }


def _list_quantized() -> list[str]:
    return [each.metric for each in OBJECTIVES if each.quantized]


def write_headline(overview: Overview) -> str:
    """Returns a paragraph on what is searched."""
    if overview.title:
        return overview.title
    wanted = pluralize(overview.trials, "candidate") if overview.trials else "candidates"
    most = "up to " if overview.multi_fidelity else ""
    validation, test = overview.held_out
    size = f" of {'x'.join(map(str, overview.input))}" if overview.input else ""
    parts = [
        f"Searching {overview.space} on {overview.data}"
        f" ({overview.images:,} training, {validation:,} validation, {test:,} test images{size},"
        f" {overview.classes} classes):"
        f" {wanted} by {overview.strategy}, {most}{pluralize(overview.epochs, 'epoch')} each"
    ]
    if overview.budget:
        parts.append(f"within {overview.budget}")
    if overview.seconds:
        parts.append(f"for at most {format_time(overview.seconds)}")
    workers = f"{overview.workers} at a time on " if overview.workers > 1 else ""
    text = ", ".join(parts) + f". Run {overview.run}, {workers}{overview.device}."
    if overview.finished:
        text += f" Resumes after {pluralize(overview.finished, 'finished candidate')}."
    return text


def name_trial(trial: TrialRecord) -> str:
    """Returns a short name: the family; the role and seed in a final training; or a promotion."""
    if {"role", "seed", "entrant"} <= trial.values.keys():
        return f"{trial.values['role']}, seed {trial.values['seed']}"
    if trial.continues is not None:
        return f"{trial.continues} promoted"
    return trial.label


def count_candidates(trials: Iterable[TrialRecord], *statuses: str) -> int:
    """Returns how many candidates have one of these statuses; promotions are not counted again."""
    return sum(trial.continues is None and trial.status in statuses for trial in trials)


def count_promotions(trials: Iterable[TrialRecord]) -> int:
    """Returns how many promotions to a higher rung were trained to their end."""
    return sum(trial.continues is not None and trial.status == "completed" for trial in trials)


def write_trial_line(
    trial: TrialRecord,
    place: str,
    best: float | None,
    measured: str = OBJECTIVES[0].heading,
    multi_fidelity: bool = False,
) -> str:
    """Returns a finished trial as a line of text.

    Args:
        trial: that has ended.
        place: its number among the candidates, such as ``3/12``; a promotion has none.
        best: score so far; None: trials do not compete.
        measured: heading of the score.
        multi_fidelity: whether trials have different numbers of epochs.
    """
    basic = [kind for kind in BOUNDED if kind.is_basic]
    cost = "  ".join(f"{kind.format(kind.read(trial))} {kind.heading}" for kind in basic)
    start = f"{place:>6}  {name_trial(trial):<22}  {cost:<28}"
    if trial.score is None:
        return f"{start}  {trial.outcome}"
    rung = f"  rung of {pluralize(trial.epochs, 'epoch'):<9}" if multi_fidelity else ""
    score = f"{measured.split()[0]} {trial.score:6.2%}"
    score += "" if best is None else f"  best {best:6.2%}"
    return f"{start}{rung}  {score}  {format_time(trial.seconds or 0.0):>6}"


def write_closing(summary: Summary) -> str:
    """Returns how a search ended and what to do next."""
    draws = summary.draws
    counts = [f"{pluralize(summary.completed, 'candidate')} trained"]
    counts += [pluralize(summary.promotions, "promotion")] if summary.promotions else []
    counts += [f"{summary.failed} failed"] if summary.failed else []
    slow = f"{summary.too_slow} over the measured latency"
    counts += [slow] if summary.too_slow else []
    refused = [f"{draws.over_budget:,} over the budget"]
    refused += [f"{draws.too_slow:,} predicted to train too long"] if draws.too_slow else []
    refused += [f"{draws.invalid:,} could not be wired"] if draws.invalid else []
    refused += [f"{draws.duplicates:,} seen before"] if draws.duplicates else []
    lines = [
        f"Done in {format_time(summary.seconds)}: {WHY.get(summary.reason, summary.reason)}.",
        f"{', '.join(counts)}; {draws.drawn:,} drawn, {', '.join(refused)}.",
    ]
    if summary.best:
        lines.append(f"Best: {describe_best(summary.best, summary.measured)}")
    if summary.front:
        lines.append(f"{summary.front}.")
    if summary.recommended:
        lines.append(describe_recommended(summary.recommended, summary.run))
    if summary.gain:
        lines.append(describe_gain(summary.gain))
    return "\n".join([*lines, *_list_next_steps(summary)])


def _list_next_steps(summary: Summary) -> Iterator[str]:
    """Yields the commands to type next."""
    root = Path(summary.path).parent
    where = "" if root == Path("runs") else f" --runs {shlex.quote(str(root))}"
    if summary.reason in ("interrupted", "time"):
        yield f"Resume:    cnnsearch resume {summary.run}{where}"
    if summary.best:
        at, seconds = f"--run {summary.run}{where}", summary.final_seconds
        takes = f"   (about {format_time(seconds)} a seed)" if seconds else ""
        yield f"Results:   cnnsearch results {summary.run}{where}   or   cnnsearch ui{where}"
        yield f"Evaluate:  cnnsearch train best {at}{takes}"
        yield f"Export:    cnnsearch export best {at} --out exports/best"


def describe_best(best: TrialRecord, measured: str = OBJECTIVES[0].title) -> str:
    """Returns the best candidate in one line."""
    cost = describe_costs(best)
    return f"trial {best.id} ({best.label}), {measured} {best.score:.2%}, {cost}"


def describe_recommended(trial: TrialRecord, run: str) -> str:
    """Returns why to train another candidate than the best, in one line."""
    return (
        f"Recommended: trial {trial.id} ({trial.label}), {trial.score or 0.0:.2%}: candidates like"
        " it score higher than those like the best, whose lead may be luck;"
        f" cnnsearch train {trial.id} --run {run}"
    )
