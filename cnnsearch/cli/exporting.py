"""Commands that export models, and that classify images with an export."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnsearch.cli.common import (
    RUNS,
    Json,
    RunOption,
    Runs,
    command,
    make_console,
    open_run,
    print_json,
    print_table,
)
from cnnsearch.exporters.formats import FORMATS, quantizations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from cnnsearch.exporters.prediction import Prediction
    from cnnsearch.exporters.results import ExportResult

_FORMATS = "; ".join(f"{each.name}: {each.summary}" for each in FORMATS)
_QUANTIZED = ", ".join(each.title for each in FORMATS if len(each.quantizations) > 1)


@command(
    "cnnsearch export",
    "cnnsearch export 007 --run first --out exports/007 --format onnx,litert",
    "cnnsearch export --format litert --quantize int8",
)
def export(
    which: Annotated[str, typer.Argument(help="best, or a trial's id.")] = "best",
    run: RunOption = None,
    out: Annotated[Path, typer.Option(help="The folder to create.")] = Path("exports/best"),
    format_: Annotated[
        str,
        typer.Option("--format", help=f"{_FORMATS}; several with commas, or all."),
    ] = "savedmodel",
    quantize: Annotated[
        str | None,
        typer.Option(help=f"{_QUANTIZED}: {', '.join(quantizations())} (with commas)."),
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="Size of images: 224 or 224x192; default: any, LiteRT's own.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Batch size; default: any, LiteRT 1.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Export a candidate and verify it.

    Each format takes uint8 images and contains its preprocessing. It is reloaded in a new process
    by its runtime, compared with the Keras model, and evaluated on the test split.
    """
    from dataclasses import asdict

    from cnnsearch.exporters.formats import parse_targets
    from cnnsearch.exporters.pipeline import export as export_model
    from cnnsearch.runs.pareto import find_front

    parse_targets(format_, quantize)  # before a run is looked for
    opened = open_run(runs, run)
    if which == "best" and (front := find_front(opened)):
        print(f"{front.explain_best()}; a trial's id exports another", file=sys.stderr)
    done = export_model(
        opened,
        which,
        out,
        formats=format_,
        quantize=quantize,
        image=image,
        batch=batch,
        force=force,
        progress=lambda step: print(f"{step} ...", file=sys.stderr),
    )
    if json_:
        print_json(asdict(done))
        return
    _show(done)


def make_table(done: "ExportResult") -> "Table":
    """Returns the formats with what their verification found."""
    from rich.table import Table

    from cnnsearch.exporters.results import COLUMNS, table_rows

    table = Table(*COLUMNS[:2])
    for column in COLUMNS[2:]:
        table.add_column(column, justify="right")
    for row in table_rows(done):
        table.add_row(*row)
    return table


def _show(done: "ExportResult") -> None:
    low, high = done.interval
    unseen = " that no candidate saw" if done.split == "test" else ", which selected the model"
    print(f"Exported trial {done.trial} to {done.path} ({done.bytes / 1e6:.2f} MB).")
    print_table(make_table(done))
    print(
        f"Each was reloaded in a fresh process and compared on {done.compared:,} real images.\n"
        f"{done.split.capitalize()} accuracy of the Keras model {done.test_accuracy:.2%} (95 % "
        f"interval {low:.2%} to {high:.2%})\non {done.test_images:,} images{unseen}."
    )
    if done.caution:
        make_console().print(done.caution, highlight=False, markup=False)
    print(f"Classify with:  cnnsearch predict {done.path} IMAGE...")


@command(
    "cnnsearch predict exports/best cat.jpg photos/",
    "cnnsearch predict exports/best photos/ --csv classes.csv",
)
def predict(
    export: Annotated[Path, typer.Argument(help="The folder of an export, or a file in it.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, and folders of them.")],
    top_k: Annotated[int, typer.Option("--top-k", help="Classes to print per image.")] = 5,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Average over each image and its mirror image.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write a CSV file instead of printing.")] = None,
    json_: Json = False,
) -> None:
    """Classify images with an export.

    Files that are not images are named at the end, with exit code 1; the others are classified.
    A SavedModel is a program: classify with one from a stranger only if you would run its code.
    """
    from cnnsearch.exporters.prediction import list_images, predict, to_data, write_csv

    files, others = list_images(images)
    found = predict(export, files, top_k, mirror)
    if csv is not None:
        predictions = write_csv(found, csv, top_k)
        print(f"Wrote {csv}")
    elif json_:
        predictions = list(found)
        print_json([to_data(each) for each in predictions])
    else:
        predictions = []
        for each in found:
            predictions.append(each)
            if not each.error:
                shown = ", ".join(f"{name} {share:.1%}" for name, share in each.classes)
                print(f"{each.image}: {shown}")
    _report_problems(predictions, others)


def _report_problems(predictions: "Sequence[Prediction]", others: "Sequence[Path]") -> None:
    bad = [each for each in predictions if each.error]
    if others:
        what = "file that is not an image" if len(others) == 1 else "files that are not images"
        shown = ", ".join(map(str, others[:5])) + (", ..." if len(others) > 5 else "")
        print(f"Left out {len(others):,} {what}: {shown}", file=sys.stderr)
    for each in bad:
        print(f"{each.image}: {each.error}", file=sys.stderr)
    if bad:
        print(
            f"{len(bad):,} of {len(predictions):,} files could not be classified.", file=sys.stderr
        )
        raise typer.Exit(1)
