"""The results of a final training, from its run's own records."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.cost import count
from cnnsearch.data import Dataset
from cnnsearch.final.metrics import Estimate, class_table, confusion, estimate, verdict
from cnnsearch.final.pictures import draw_confusion, draw_worst
from cnnsearch.final.plan import PUBLISHED, RANDOM, WINNER, Entrant
from cnnsearch.final.predicting import FILE
from cnnsearch.records import TrialRecord
from cnnsearch.rundir import RunDirectory

RESULTS = "results.json"
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
        metrics: mean over seeds of everything else that was measured.
        trials: ids of its finished trainings.
        beaten: for a reference: whether the first winner beats it: yes, no or unclear.
    """

    role: str
    label: str
    params: int
    macs: int
    accuracy: Estimate
    metrics: Mapping[str, float]
    trials: tuple[str, ...]
    beaten: str | None = None


def evaluated(run: RunDirectory) -> dict[str, Mapping[str, Any]]:
    """Returns what was measured on the test split, by trial."""
    found: dict[str, Mapping[str, Any]] = {}
    after = 0
    while events := run.db.events(after=after):
        found |= {str(e.trial_id): e.data for e in events if e.kind == "evaluated"}
        after = events[-1].seq
    return found


def entrants_of(run: RunDirectory) -> list[Entrant]:
    """Returns the networks that take part, as ``run.json`` keeps them."""
    return [Entrant.from_data(entry) for entry in run.manifest["final"]["entrants"]]


def rows(run: RunDirectory) -> list[Row]:
    """Returns a row for each network that has a result, in the order of the plan."""
    measured, images = evaluated(run), run.manifest["dataset"]["test"]
    trials = [t for t in run.db.trials() if t.id in measured]
    found = []
    for index, entrant in enumerate(entrants_of(run)):
        mine = [t for t in trials if t.values["entrant"] == index]
        if mine:
            found.append(_row(entrant, mine, measured, images))
    return [_compared(row, found, images) for row in found]


def _row(
    entrant: Entrant, trials: Sequence[TrialRecord], measured: Mapping[str, Any], images: int
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
    )


def _spent(trial: TrialRecord) -> dict[str, float]:
    return {
        "seconds": trial.seconds or 0.0,
        "peak_memory_mb": trial.metrics.get("peak_memory_mb", 0.0),
        "train_accuracy": trial.metrics.get("accuracy", 0.0),
    }


def _compared(row: Row, found: Sequence[Row], images: int) -> Row:
    if row.role == WINNER or found[0].role != WINNER:
        return row
    return Row(**{**vars(row), "beaten": verdict(found[0].accuracy, row.accuracy, images)})


def sentences(found: Sequence[Row]) -> list[str]:
    """Says plainly whether the search beat its references."""
    lines = []
    for row in found:
        if row.beaten is None:
            continue
        gap = found[0].accuracy.mean - row.accuracy.mean
        points = f"{abs(100 * gap):.2f} points"
        what = f"{SHOWN[row.role]} ({row.label})"
        lines.append(
            {
                "yes": f"The search beat {what} by {points}.",
                "no": f"The search did NOT beat {what}: it is {points} better.",
                "unclear": f"No clear difference from {what}: {'+' if gap >= 0 else '-'}{points}, "
                "within what seeds and test images leave open.",
            }[row.beaten]
        )
    return lines


def write_results(run: RunDirectory, data: Dataset) -> list[Path]:
    """Writes results.json, tables and pictures into the run's folder; returns the files."""
    found = rows(run)
    text = {"results": [asdict(row) for row in found], "verdicts": sentences(found)}
    files = [_written(run.path / RESULTS, json.dumps(text, indent=2) + "\n")]
    labels = np.asarray(data.test.labels())
    for number, row in enumerate((r for r in found if r.role == WINNER), start=1):
        folders = [run.trial_dir(trial) for trial in row.trials]
        every = np.stack([np.load(folder / FILE)["probabilities"] for folder in folders])
        files += _details(run, row, number, every, labels, data)
    return files


def _details(
    run: RunDirectory, row: Row, number: int, every: Any, labels: Any, data: Dataset
) -> list[Path]:
    """Tables and pictures of one winner, over all its seeds."""
    names, root = data.class_names, run.path
    flat, truth = every.reshape(-1, len(names)), np.tile(labels, len(every))
    counts = confusion(flat, truth, len(names))
    seeds = f"{len(every)} seed{'s' * (len(every) > 1)}"
    picture, worst = root / f"confusion-{number}.png", root / f"worst-{number}.png"
    title = f"{row.label}: test accuracy {row.accuracy.mean:.2%}, {seeds}"
    draw_confusion(counts, names, title, picture)
    draw_worst(data.test, labels, every.mean(axis=0), names, f"{row.label}: told worst", worst)
    table = [["true \\ predicted", *names]]
    table += [[name, *map(str, line)] for name, line in zip(names, counts, strict=True)]
    scores = class_table(flat, truth, names)
    per_class = [list(scores[0]), *([str(v) for v in line.values()] for line in scores)]
    return [
        picture,
        worst,
        _csv(root / f"confusion-{number}.csv", table),
        _csv(root / f"classes-{number}.csv", per_class),
    ]


def _csv(path: Path, lines: Sequence[Sequence[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    return path


def _written(path: Path, text: str) -> Path:
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
    return path
