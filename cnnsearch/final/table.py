"""A final training's results in the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnsearch.amounts import short_amount, short_time
from cnnsearch.final.metrics import Estimate
from cnnsearch.final.summary import Row
from cnnsearch.rundir import RunDirectory

if TYPE_CHECKING:
    from rich.table import Table

MEASURED = {
    "test_top_5_accuracy": ("top-5 accuracy", "{:.2%}"),
    "test_balanced_accuracy": ("balanced accuracy", "{:.2%}"),
    "test_macro_precision": ("precision, mean of classes", "{:.2%}"),
    "test_macro_recall": ("recall, mean of classes", "{:.2%}"),
    "test_macro_f1": ("F1, mean of classes", "{:.2%}"),
    "test_calibration_error": ("calibration error (ECE)", "{:.2%}"),
    "test_loss": ("cross-entropy", "{:.4f} nats"),
    "train_accuracy": ("training accuracy (augmented)", "{:.2%}"),
    "latency_ms_batch_1": ("latency, 1 image", "{:.2f} ms"),
    "latency_ms_batch_32": ("latency, 32 images", "{:.2f} ms"),
    "peak_memory_mb": ("peak memory, training", "{:,.0f} MiB"),
}


def final_table(run: RunDirectory, rows: Sequence[Row]) -> "Table":
    """Returns a table with a column for each network."""
    from rich.table import Table

    images = run.manifest["dataset"]["test"]
    table = Table(title=f"Run {run.name}: {images:,} test images", title_justify="left")
    table.add_column("")
    for row in rows:
        table.add_column(f"{row.role}\n{row.label}", justify="right")
    table.add_row("test accuracy", *(f"[bold]{row.accuracy.mean:.2%}[/]" for row in rows))
    table.add_row("95 % interval", *(interval(row.accuracy) for row in rows))
    table.add_row("seeds", *(_seeds(row.accuracy) for row in rows))
    table.add_row("parameters", *(short_amount(row.params) for row in rows))
    table.add_row("MACs", *(short_amount(row.macs) for row in rows))
    for key, (words, form) in MEASURED.items():
        if all(key in row.metrics for row in rows):
            table.add_row(words, *(form.format(row.metrics[key]) for row in rows))
    table.add_row("training, each", *(short_time(row.metrics["seconds"]) for row in rows))
    return table


def interval(accuracy: Estimate) -> str:
    """Writes an interval."""
    return f"{accuracy.low:.2%} to {accuracy.high:.2%}"


def _seeds(accuracy: Estimate) -> str:
    if accuracy.std is None:
        return "1"
    return f"{len(accuracy.values)}, std {100 * accuracy.std:.2f}"


def notes(run: RunDirectory, rows: Sequence[Row]) -> list[str]:
    """What is to be known about the numbers, and where the rest lies."""
    kind = {
        "t": "The interval is of the mean over seeds, by Student's t.",
        "wilson": "One seed: the interval is Wilson's for one share, and tells nothing of seeds.",
    }[rows[0].accuracy.interval]
    device = (run.db.last("run_started") or run.db.events()[0]).data["environment"]["device"]
    return [
        f"{kind} Latency: median of 50 calls on {device}, while idle or not.",
        f"Per class, confusion matrix, worst images: {run.path}",
    ]
