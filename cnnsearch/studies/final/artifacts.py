"""Tables and figures of a final training, in its run's folder."""

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
from cnnsearch.studies.final.figures import draw_confusion, draw_worst
from cnnsearch.studies.final.predict import Predictions, load_predictions
from cnnsearch.studies.final.results import Row, compute_rows, explain_results
from cnnsearch.training.metrics import count_confusions, tabulate_classes
from cnnsearch.utils.atomic_files import write_bytes, write_text

RESULTS = "results.json"


def get_result_data(run: RunDirectory) -> dict[str, Any]:
    """Returns the results as plain data for JSON."""
    rows = compute_rows(run)
    event = run.db.get_last_event("results")
    return {
        "run": run.name,
        "results": [
            {**asdict(row), "beaten": row.difference and row.difference.beaten} for row in rows
        ],
        "verdicts": explain_results(run, rows),
        "hardest": list(event.data.get("hardest", [])) if event else [],
    }


def write_results(run: RunDirectory) -> Path:
    """Writes ``results.json``; returns the file."""
    text = json.dumps(get_result_data(run), indent=2) + "\n"
    return write_text(run.path / RESULTS, text)


def write_details(run: RunDirectory, data: Dataset) -> tuple[list[Path], list[str]]:
    """Writes tables and figures of each winner, over all its seeds.

    Returns:
        The files, and for each winner a sentence on its worst-classified class.
    """
    files, sentences = [], []
    for number, row in enumerate((r for r in compute_rows(run) if r.role == WINNER), start=1):
        found = [load_predictions(run.trial_dir(trial)) for trial in row.trials]
        kept = [each for each in found if each is not None]
        if kept:
            details = _Details(row, kept, data)
            files += details.write(run.path, number)
            sentences.append(f"{row.label}: {details.describe_worst_class()}")
    return files, sentences


class _Details:
    """Predictions of one winner over all its seeds."""

    def __init__(self, row: Row, found: Sequence[Predictions], data: Dataset) -> None:
        self._row, self._found, self._data = row, found, data
        self._names = data.class_names
        probabilities = np.concatenate([each.probabilities for each in found])
        labels = np.concatenate([each.labels for each in found])
        self._counts = count_confusions(probabilities, labels, len(self._names))
        self._scores = tabulate_classes(probabilities, labels, self._names)

    def write(self, root: Path, number: int) -> list[Path]:
        """Writes confusion matrix, scores of each class, and the worst-classified images."""
        row, names, found = self._row, self._names, self._found
        seeds = f"{len(found)} seed{'s' * (len(found) > 1)}"
        title = f"{row.label}: test accuracy {row.accuracy.mean:.2%}, {seeds}"
        mean = np.mean([each.probabilities for each in found], axis=0)
        worst = draw_worst(self._data.test, found[0].labels, mean, names, row.label)
        table = [["true \\ predicted", *names]]
        table += [[name, *map(str, line)] for name, line in zip(names, self._counts, strict=True)]
        per_class = [list(self._scores[0])]
        per_class += [[str(value) for value in line.values()] for line in self._scores]
        confusion_figure = draw_confusion(self._counts, names, title)
        return [
            write_bytes(root / f"confusion-{number}.png", confusion_figure),
            write_bytes(root / f"worst-{number}.png", worst),
            _write_csv(root / f"confusion-{number}.csv", table),
            _write_csv(root / f"per_class-{number}.csv", per_class),
        ]

    def describe_worst_class(self) -> str:
        """Names the class with the lowest F1, and the class it is most often confused with."""
        worst = min((s for s in self._scores if s["images"]), key=lambda s: float(s["f1"]))
        index = list(self._names).index(worst["class"])
        line = self._counts[index].copy()
        total, line[index] = line.sum(), 0
        text = f"precision {worst['precision']:.1%}, recall {worst['recall']:.1%}"
        if line.any():
            confused = self._names[int(line.argmax())]
            text += f"; {line.max() / total:.1%} predicted as {confused}"
        return f"worst-classified class {worst['class']} ({text})"


def _write_csv(path: Path, lines: Sequence[Sequence[str]]) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return write_text(path, text.getvalue())
