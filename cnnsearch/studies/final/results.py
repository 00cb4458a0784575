"""The results of a final training, from its run's own records."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cnnsearch.architecture.cost import count
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.studies.final.entrants import PUBLISHED, RANDOM, Entrant
from cnnsearch.studies.final.metrics import Estimate, estimate
from cnnsearch.studies.final.predict import answers
from cnnsearch.studies.final.significance import Difference, difference
from cnnsearch.utils.units import many

ENDED = ("completed", "failed")
SHOWN = {
    RANDOM: "the best of equally many random candidates",
    PUBLISHED: "a published network of similar MACs",
}


@dataclass(frozen=True)
class Row:
    """One network of a final training.

    Attributes:
        role: winner, random or published.
        label: what it is called.
        params: trainable parameters.
        macs: multiply-accumulates.
        accuracy: on the test split.
        metrics: mean over seeds of everything that was measured.
        trials: ids of its finished trainings.
        each: what was measured of each of them, in that order, with its ``seed``.
        difference: for a reference: by how much the first winner is better; None: it is none.
    """

    role: str
    label: str
    params: int
    macs: int
    accuracy: Estimate
    metrics: Mapping[str, float]
    trials: tuple[str, ...]
    each: tuple[Mapping[str, float], ...] = ()
    difference: Difference | None = None


def evaluated(run: RunDirectory) -> dict[str, Mapping[str, Any]]:
    """Returns what was measured on the test split, by trial."""
    return {str(event.trial_id): event.data for event in run.db.of_kind("evaluated")}


def entrants_of(run: RunDirectory) -> list[Entrant]:
    """Returns the networks that take part, as ``run.json`` keeps them."""
    return [Entrant.from_data(entry) for entry in run.manifest["final"]["entrants"]]


def rows(run: RunDirectory) -> list[Row]:
    """Returns a row for each network that has a result, in the order of the plan."""
    measured = evaluated(run)
    trials = [t for t in run.db.trials() if t.id in measured]
    recorded = _recorded(run)
    found = []
    for index, entrant in enumerate(entrants_of(run)):
        mine = [t for t in trials if t.values["entrant"] == index]
        if mine:
            images = int(measured[mine[0].id].get("test_images", run.manifest["dataset"]["test"]))
            found.append(_row(entrant, mine, measured, images, recorded.get(str(index))))
    return found


def _recorded(run: RunDirectory) -> dict[str, Difference]:
    """Returns the differences that were computed when everything was evaluated, by entrant."""
    event = run.db.last("results")
    kept = event.data.get("differences") if event else None
    found = compared(run) if kept is None else kept
    return {index: Difference(**values) for index, values in found.items()}


def _row(
    entrant: Entrant,
    trials: Sequence[TrialRecord],
    measured: Mapping[str, Any],
    images: int,
    gap: Difference | None,
) -> Row:
    cost = count(entrant.candidate.architecture)
    every = [{**measured[t.id], **_spent(t)} for t in trials]
    return Row(
        entrant.role,
        entrant.label,
        cost.params,
        cost.macs,
        estimate([each["test_accuracy"] for each in every], images),
        {key: float(np.mean([each[key] for each in every])) for key in every[0]},
        tuple(t.id for t in trials),
        tuple({"seed": t.values["seed"], **e} for t, e in zip(trials, every, strict=True)),
        gap,
    )


def _spent(trial: TrialRecord) -> dict[str, float]:
    return {
        "seconds": trial.seconds or 0.0,
        "peak_memory_mb": trial.metrics.get("peak_memory_mb", 0.0),
        "train_accuracy": trial.metrics.get("accuracy", 0.0),
    }


def compared(run: RunDirectory) -> dict[str, dict[str, Any]]:
    """Returns by how much the first winner is better than each reference, by entrant.

    From the answers in the trials' folders; where those are gone there is nothing to compare.
    """
    right: dict[int, list[Any]] = {}
    for trial in run.db.trials():
        if trial.status == "completed" and (found := answers(run.trial_dir(trial.id))):
            right.setdefault(int(trial.values["entrant"]), []).append(found.right)
    return {
        str(index): asdict(difference(np.stack(right[0]), np.stack(right[index])))
        for index, entrant in enumerate(entrants_of(run))
        if entrant.role in SHOWN and 0 in right and index in right
    }


def sentences(run: RunDirectory, found: Sequence[Row]) -> list[str]:
    """Says plainly whether the winner beat its references, what failed, and what was left out."""
    final = run.manifest["final"]
    who = "The search" if ":" in final["from"] else found[0].label if found else ""
    lines = [_verdict(who, row) for row in found if row.difference is not None]
    lines += _twins(run)
    lines += [f"Training {t.id} failed: {t.reason}" for t in run.db.trials() if t.reason]
    return [*lines, *final.get("notes", []), *_unfinished(run)]


def _unfinished(run: RunDirectory) -> list[str]:
    """Says what is still to be trained; a result of fewer seeds than asked for is not the one."""
    plan = len(run.manifest["final"]["entrants"]) * run.manifest["final"]["seeds"]
    ended = sum(trial.status in ENDED for trial in run.db.trials())
    return [f"Not finished: {ended} of {many(plan, 'training')} done."] if ended < plan else []


def _verdict(who: str, row: Row) -> str:
    gap = row.difference or Difference(0.0, 0.0, 0.0, False)
    what = f"{SHOWN[row.role]} ({row.label})"
    low, high = (f"{100 * end:+.2f}" for end in (gap.low, gap.high))
    range_ = f"95 % interval of the difference {low} to {high}"
    range_ += "" if gap.seeds else "; one seed each: others may tell otherwise"
    points = f"{abs(100 * gap.gap):.2f} points"
    return {
        "yes": f"{who} beat {what} by {points} ({range_}).",
        "no": f"{who} did NOT beat {what}: that is {points} better ({range_}).",
        "unclear": f"{who} did not clearly beat {what}: no clear difference, "
        f"{100 * gap.gap:+.2f} points ({range_}).",
    }[gap.beaten]


def _twins(run: RunDirectory) -> list[str]:
    first, *others = entrants_of(run)
    same = [
        e.label
        for e in others
        if e.role in SHOWN and e.candidate.architecture == first.candidate.architecture
    ]
    return [f"{label} is the very network that {first.label} is." for label in same]
