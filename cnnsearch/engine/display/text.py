"""What is said of a search and of its candidates, in words."""

import shlex
from pathlib import Path
from typing import Any

from cnnsearch.engine.display.callback import Overview, Summary
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.objectives import OBJECTIVES
from cnnsearch.utils.units import format_amount, format_time, pluralize

WHY = {
    "trials": "all that were asked for are done",
    "exhausted": "every candidate of the space within the budget has been trained",
    "schedule": "the strategy's schedule is complete",
    "time": "the time is up",
    "interrupted": "interrupted",
}


def trial_data(trial: TrialRecord) -> dict[str, Any]:
    """Returns a trial as plain data for JSON."""
    return {
        "id": trial.id,
        "status": trial.status,
        "family": trial.family,
        "params": trial.params,
        "macs": trial.macs,
        "flops": 2 * trial.macs if trial.macs is not None else None,
        "epochs": trial.epochs,
        "val_accuracy": trial.metrics.get("val_accuracy"),
        "score": trial.score,
        "seconds": trial.seconds,
        "reason": trial.reason,
        "values": dict(trial.values),
    }


def headline(overview: Overview) -> str:
    """Says in one paragraph what is searched."""
    if overview.title:
        return overview.title
    wanted = pluralize(overview.trials, "candidate") if overview.trials else "candidates"
    parts = [
        f"Searching {overview.space} on {overview.data}"
        f" ({overview.images:,} training images, {overview.classes} classes):"
        f" {wanted} by {overview.strategy}, {pluralize(overview.epochs, 'epoch')} each"
    ]
    if overview.budget:
        parts.append(f"within {overview.budget}")
    if overview.seconds:
        parts.append(f"for at most {format_time(overview.seconds)}")
    workers = f"{overview.workers} at a time on " if overview.workers > 1 else ""
    text = ", ".join(parts) + f". Run {overview.run}, {workers}{overview.device}."
    if overview.finished:
        text += f" Goes on after {pluralize(overview.finished, 'finished candidate')}."
    return text


def called(trial: TrialRecord) -> str:
    """Returns what a candidate is called: its family; of a final training its role and seed."""
    if {"role", "seed", "entrant"} <= trial.values.keys():
        return f"{trial.values['role']}, seed {trial.values['seed']}"
    return trial.family


def trial_line(
    trial: TrialRecord, trials: int | None, best: float, measured: str = OBJECTIVES[0].heading
) -> str:
    """Returns one finished candidate as a line of text."""
    of = f"/{trials}" if trials and trial.number <= trials else ""  # more: some are replacements
    cost = f"{format_amount(trial.params)} params  {format_amount(trial.macs)} MACs"
    start = f"{trial.number:>3}{of}  {called(trial):<22}  {cost:<28}"
    if trial.score is None:
        return f"{start}  {trial.status}: {trial.reason}"
    return (
        f"{start}  {measured.split()[0]} {trial.score:6.2%}  best {best:6.2%}  "
        f"{format_time(trial.seconds or 0.0):>6}"
    )


def closing(summary: Summary) -> str:
    """Says how a search ended and what to do next."""
    draws = summary.draws
    trained = f"{pluralize(summary.completed, 'candidate')} trained"
    failed = f", {summary.failed} failed" if summary.failed else ""
    refused = [f"{draws.over_budget:,} over the budget"]
    refused += [f"{draws.invalid:,} could not be wired"] if draws.invalid else []
    refused += [f"{draws.duplicates:,} seen before"] if draws.duplicates else []
    lines = [
        f"Done in {format_time(summary.seconds)}: {WHY.get(summary.reason, summary.reason)}.",
        f"{trained}{failed}; {draws.drawn:,} drawn, {', '.join(refused)}.",
    ]
    if summary.best:
        lines.append(f"Best: {best_line(summary.best, summary.measured)}")
    root = Path(summary.path).parent
    where = "" if root == Path("runs") else f" --runs {shlex.quote(str(root))}"
    if summary.reason in ("interrupted", "time"):
        lines.append(f"Go on with:   cnnsearch resume {summary.run}{where}")
    if summary.best:
        at = f"--run {summary.run}{where}"
        lines += [
            f"Look at it:   cnnsearch results {summary.run}{where}   or   cnnsearch ui{where}",
            f"Judge it:     cnnsearch train best {at}",
            f"Export it:    cnnsearch export best {at} --out exports/best",
        ]
    return "\n".join(lines)


def best_line(best: TrialRecord, measured: str = OBJECTIVES[0].title) -> str:
    """Returns the best candidate in one line."""
    cost = f"{best.params:,} parameters, {best.macs:,} MACs ({2 * (best.macs or 0):,} FLOPs)"
    return f"trial {best.id} ({best.family}), {measured} {best.score:.2%}, {cost}"
