"""The results of a final training in the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnsearch.runs.directory import RunDirectory
from cnnsearch.studies.final.results import Row
from cnnsearch.training.metrics import Estimate, compute_wilson_interval
from cnnsearch.utils.units import format_amount, format_time

if TYPE_CHECKING:
    from rich.table import Table

METRICS = {
    "test_accuracy_mirrored": ("accuracy, averaged over mirrored images", "{:.2%}"),
    "test_top_5_accuracy": ("top-5 accuracy", "{:.2%}"),
    "test_balanced_accuracy": ("balanced accuracy", "{:.2%}"),
    "test_macro_precision": ("macro precision", "{:.2%}"),
    "test_macro_f1": ("macro F1", "{:.2%}"),
    "test_calibration_error": ("calibration error", "{:.2%}"),
    "test_loss": ("cross-entropy", "{:.4f} nats"),
    "train_accuracy": ("training accuracy", "{:.2%}"),
    "latency_ms_batch_1": ("latency, batch 1", "{:.2f} ms"),
    "latency_ms_batch_32": ("latency, batch 32", "{:.2f} ms"),
    "peak_memory_mb": ("training memory", "{:,.0f} MiB"),
}


def make_table(run: RunDirectory, rows: Sequence[Row]) -> "Table":
    """Returns a table with a column for each network."""
    from rich.table import Table

    images = run.manifest["dataset"]["test"]
    table = Table(title=f"Run {run.name}: {images:,} test images", title_justify="left")
    table.add_column("")
    for row in rows:
        table.add_column(f"{row.role}\n{row.label}", justify="right")
    table.add_row("test accuracy", *(f"[bold]{row.accuracy.mean:.2%}[/]" for row in rows))
    if any(row.accuracy.std is not None for row in rows):
        table.add_row("95 %, other seeds", *(_format_interval(row.accuracy) for row in rows))
    table.add_row("95 %, other images", *(_format_wilson(row, images) for row in rows))
    table.add_row("seeds", *(_format_seeds(row.accuracy) for row in rows))
    table.add_row("parameters", *(format_amount(row.params) for row in rows))
    table.add_row("MACs", *(format_amount(row.macs) for row in rows))
    for key, (name, form) in METRICS.items():
        if all(key in row.metrics for row in rows):
            table.add_row(name, *(form.format(row.metrics[key]) for row in rows))
    table.add_row("training time", *(format_time(row.metrics["seconds"]) for row in rows))
    return table


def _format_interval(accuracy: Estimate) -> str:
    if accuracy.std is None:
        return "-"
    return f"{100 * accuracy.low:.2f} to {100 * accuracy.high:.2f}"


def _format_wilson(row: Row, images: int) -> str:
    low, high = compute_wilson_interval(round(row.accuracy.mean * images), images)
    return f"{100 * low:.2f} to {100 * high:.2f}"


def _format_seeds(accuracy: Estimate) -> str:
    if accuracy.std is None:
        return "1"
    return f"{len(accuracy.values)}, std {100 * accuracy.std:.2f}"


def list_notes(run: RunDirectory, rows: Sequence[Row]) -> list[str]:
    """Explains how the numbers were computed, and where the files are."""
    is_single = rows[0].accuracy.std is None
    seeds = "One seed: variation between seeds is unknown." if is_single else "Seeds: Student's t."
    first = run.db.get_events()[0]
    device = (run.db.get_last_event("run_started") or first).data["environment"]["device"]
    return [
        *(run.db.get_last_event("results") or first).data.get("hardest", []),
        f"{seeds} Test images: Wilson's interval of the mean accuracy.",
        f"Latency: median of 50 calls, float32, on {device}.",
        f"Per class, confusion matrix, worst-classified images: {run.path}",
    ]
