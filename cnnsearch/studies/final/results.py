"""Results of a final training, computed from its run's own records."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cnnsearch.architecture.cost import count
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.studies.final.entrants import PUBLISHED, RANDOM, Entrant
from cnnsearch.studies.final.plan import FinalPlan
from cnnsearch.studies.final.predict import load_predictions
from cnnsearch.studies.final.significance import Difference, compare_accuracy
from cnnsearch.training.metrics import Estimate, estimate_accuracy
from cnnsearch.utils.units import pluralize

ENDED = ("completed", "failed")
BASELINES: Mapping[str, str] = {
    RANDOM: "the best of equally many random candidates",
    PUBLISHED: "a published network of similar MACs",
}


@dataclass(frozen=True)
class Row:
    """Results of one network.

    Attributes:
        role: winner, random or published.
        label: the trial or the published network's name.
        params: trainable parameters.
        macs: multiply-accumulates.
        accuracy: on the test split.
        metrics: mean over seeds of everything that was measured.
        trials: ids of its completed trainings.
        each: metrics of each of them, in that order, with its ``seed``.
        difference: accuracy of the first winner minus this baseline's; None for a winner.
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


def read_test_metrics(run: RunDirectory) -> dict[str, Mapping[str, Any]]:
    """Returns the recorded test metrics by trial."""
    return {str(event.trial_id): event.data for event in run.db.get_events_of("evaluated")}


def compute_rows(run: RunDirectory) -> list[Row]:
    """Returns a row for each network that was evaluated, in the order of the plan."""
    metrics = read_test_metrics(run)
    differences = _read_differences(run)
    rows = []
    for index, entrant in enumerate(FinalPlan.read(run).entrants):
        trials = [
            t for t in run.db.get_trials() if t.id in metrics and t.values["entrant"] == index
        ]
        if trials:
            each = [{**metrics[t.id], **_training_metrics(t)} for t in trials]
            images = int(each[0].get("test_images", run.manifest["dataset"]["test"]))
            rows.append(_make_row(entrant, trials, each, images, differences.get(str(index))))
    return rows


def _read_differences(run: RunDirectory) -> dict[str, Difference]:
    """Returns the differences that were recorded with the results, by entrant."""
    event = run.db.get_last_event("results")
    recorded = event.data.get("differences") if event else None
    found = compute_differences(run) if recorded is None else recorded
    return {index: Difference(**values) for index, values in found.items()}


def _make_row(
    entrant: Entrant,
    trials: Sequence[TrialRecord],
    each: Sequence[Mapping[str, float]],
    images: int,
    difference: Difference | None,
) -> Row:
    cost = count(entrant.architecture)
    return Row(
        entrant.role,
        entrant.label,
        cost.params,
        cost.macs,
        estimate_accuracy([one["test_accuracy"] for one in each], images),
        {key: float(np.mean([one[key] for one in each])) for key in each[0]},
        tuple(t.id for t in trials),
        tuple({"seed": t.values["seed"], **one} for t, one in zip(trials, each, strict=True)),
        difference,
    )


def _training_metrics(trial: TrialRecord) -> dict[str, float]:
    return {
        "seconds": trial.seconds or 0.0,
        "peak_memory_mb": trial.metrics.get("peak_memory_mb", 0.0),
        "train_accuracy": trial.metrics.get("accuracy", 0.0),
    }


def compute_differences(run: RunDirectory) -> dict[str, dict[str, Any]]:
    """Compares the first winner with each baseline; returns plain data by entrant.

    It needs the predictions in the trials' folders; without them there is nothing to compare.
    """
    correct: dict[int, list[Any]] = {}
    for trial in run.db.get_trials():
        if trial.status == "completed" and (found := load_predictions(run.trial_dir(trial.id))):
            correct.setdefault(int(trial.values["entrant"]), []).append(found.correct)
    return {
        str(index): asdict(compare_accuracy(np.stack(correct[0]), np.stack(correct[index])))
        for index, entrant in enumerate(FinalPlan.read(run).entrants)
        if entrant.role in BASELINES and 0 in correct and index in correct
    }


def explain_results(run: RunDirectory, rows: Sequence[Row]) -> list[str]:
    """States whether the winner beat its baselines, which trainings failed, and what is missing."""
    plan, trials = FinalPlan.read(run), run.db.get_trials()
    subject = "The search" if ":" in plan.source else rows[0].label if rows else ""
    lines = [_explain_difference(subject, row, row.difference) for row in rows if row.difference]
    winner, *others = plan.entrants
    lines += [
        f"{other.label} is the same network as {winner.label}."
        for other in others
        if other.role in BASELINES and other.architecture == winner.architecture
    ]
    lines += [f"Training {t.id} failed: {t.reason}" for t in trials if t.reason]
    lines += plan.notes
    total, ended = len(plan.list_slots()), sum(trial.status in ENDED for trial in trials)
    unfinished = f"Not finished: {ended} of {pluralize(total, 'training')} done."
    return [*lines, unfinished] if ended < total else lines


def _explain_difference(subject: str, row: Row, found: Difference) -> str:
    baseline = f"{BASELINES[row.role]} ({row.label})"
    interval = f"95 % interval of the difference {100 * found.low:+.2f} to {100 * found.high:+.2f}"
    interval += "" if found.seeds else "; one seed each, so variation between seeds is unknown"
    points = f"{abs(100 * found.gap):.2f} points"
    return {
        "yes": f"{subject} beat {baseline} by {points} ({interval}).",
        "no": f"{subject} did NOT beat {baseline}, which is {points} better ({interval}).",
        "unclear": f"{subject} did not clearly beat {baseline}: the difference of "
        f"{100 * found.gap:+.2f} points is within the noise ({interval}).",
    }[found.beaten]
