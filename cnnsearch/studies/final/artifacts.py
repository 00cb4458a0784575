"""Tables and pictures of a final training, in its run's folder."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.data import Dataset
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.studies.final.entrants import WINNER
from cnnsearch.studies.final.figures import WORST, confusion_picture, worst_picture
from cnnsearch.studies.final.metrics import class_table, confusion
from cnnsearch.studies.final.predict import Answers, answers
from cnnsearch.studies.final.results import Row, rows, sentences
from cnnsearch.utils.atomic_files import write_bytes, write_text

RESULTS = "results.json"


def result_data(run: RunDirectory) -> dict[str, Any]:
    """Returns the results as plain data for JSON."""
    found = rows(run)
    return {
        "run": run.name,
        "results": [
            {**asdict(row), "beaten": row.difference and row.difference.beaten} for row in found
        ],
        "verdicts": sentences(run, found),
        "hardest": hardest(run),
    }


def hardest(run: RunDirectory) -> list[str]:
    """Returns what was said of the classes that the winners tell worst, when it was evaluated."""
    event = run.db.last("results")
    return list(event.data.get("hardest", [])) if event else []


def write_details(run: RunDirectory, data: Dataset) -> tuple[list[Path], list[str]]:
    """Writes tables and pictures of each winner.

    Returns:
        The files, and a sentence for each winner on the class that it tells worst.
    """
    files, told = [], []
    for number, row in enumerate((r for r in rows(run) if r.role == WINNER), start=1):
        found = [answers(run.trial_dir(trial)) for trial in row.trials]
        kept = [each for each in found if each is not None]
        if kept:
            files += _details(run.path, row, number, kept, data)
            told.append(f"{row.label}: {_hardest(kept, data.class_names)}")
    return files, told


def write_results(run: RunDirectory) -> Path:
    """Writes ``results.json``; returns the file."""
    text = json.dumps(result_data(run), indent=2) + "\n"
    return write_text(run.path / RESULTS, text)


def _details(
    root: Path, row: Row, number: int, found: Sequence[Answers], data: Dataset
) -> list[Path]:
    """Tables and pictures of one winner, over all its seeds."""
    names = data.class_names
    flat, truth = _flat(found)
    counts = confusion(flat, truth, len(names))
    mean = np.mean([each.probabilities for each in found], axis=0)
    seeds = f"{len(found)} seed{'s' * (len(found) > 1)}"
    title = f"{row.label}: test accuracy {row.accuracy.mean:.2%}, {seeds}"
    shown = min(WORST, len(found[0].labels))
    worst = f"{row.label}: the {shown} images told worst, with the probability of the true class"
    sheet = worst_picture(data.test, found[0].labels, mean, names, worst)
    table = [["true \\ predicted", *names]]
    table += [[name, *map(str, line)] for name, line in zip(names, counts, strict=True)]
    scores = class_table(flat, truth, names)
    per_class = [list(scores[0]), *([str(v) for v in line.values()] for line in scores)]
    return [
        write_bytes(root / f"confusion-{number}.png", confusion_picture(counts, names, title)),
        write_bytes(root / f"worst-{number}.png", sheet),
        _csv(root / f"confusion-{number}.csv", table),
        _csv(root / f"per_class-{number}.csv", per_class),
    ]


def _flat(found: Sequence[Answers]) -> tuple[Any, Any]:
    """All answers of all seeds, and the true classes beside them."""
    flat = np.concatenate([each.probabilities for each in found])
    return flat, np.concatenate([each.labels for each in found])


def _hardest(found: Sequence[Answers], names: Sequence[str]) -> str:
    """Says which class has the lowest F1, and what it is taken for."""
    flat, truth = _flat(found)
    scores = [s for s in class_table(flat, truth, names) if s["images"]]
    worst = min(scores, key=lambda score: float(score["f1"]))
    name = worst["class"]
    line = confusion(flat, truth, len(names))[list(names).index(name)].copy()
    total, line[list(names).index(name)] = line.sum(), 0
    text = f"hardest class {name} (precision {worst['precision']:.1%}, recall {worst['recall']:.1%}"
    if line.any():
        text += f"; {line.max() / total:.1%} taken for {names[int(line.argmax())]}"
    return f"{text})"


def _csv(path: Path, lines: Sequence[Sequence[str]]) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return write_text(path, text.getvalue())
