"""Commands that export models and ask them about images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnsearch.cli.common import RUNS, Json, Runs, app, console, open_run, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from cnnsearch.exporters import Exported


@app.command()
def export(
    which: Annotated[str, typer.Argument(help="best, or a trial's id.")] = "best",
    run: Annotated[str | None, typer.Option(help="The run's name; default: the latest.")] = None,
    out: Annotated[Path, typer.Option(help="The folder to make.")] = Path("exports/best"),
    format_: Annotated[
        str,
        typer.Option("--format", help="savedmodel, keras, litert, onnx (with commas), or all."),
    ] = "savedmodel",
    quantize: Annotated[
        str | None,
        typer.Option(help="LiteRT, ONNX: float32, float16, dynamic, int8 (with commas)."),
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="Size of images: 224 or 224x192; default: any, LiteRT's own.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Images at once; default: any, LiteRT one.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Export a candidate and verify it.

    Each format takes uint8 images and contains its preprocessing; it is reloaded in a fresh process
    by its own runtime, compared with the Keras model, and scored on the untouched test split.
    """
    from dataclasses import asdict

    from cnnsearch.exporters import export as export_model
    from cnnsearch.exporters.formats import targets

    targets(format_, quantize)
    done = export_model(
        open_run(runs, run),
        which,
        out,
        formats=format_,
        quantize=quantize,
        image=image,
        batch=batch,
        force=force,
    )
    if json_:
        print_json(asdict(done))
        return
    show(done)


def show(done: "Exported") -> None:
    """Prints what an export came to."""
    terminal = console()
    print(f"Exported trial {done.trial} to {done.path} ({done.bytes / 1e6:.2f} MB).")
    low, high = done.interval
    unseen = " that no candidate saw" if done.split == "test" else ", by which it was chosen"
    terminal.print(exports_table(done))
    print(
        f"Each was reloaded in a fresh process and asked about {done.compared:,} real images.\n"
        f"{done.split.capitalize()} accuracy of the Keras model {done.test_accuracy:.2%} (95 % "
        f"interval {low:.2%} to {high:.2%}) on {done.test_images:,} images{unseen}.\n"
        f"Classify with:  cnnsearch predict {done.path} IMAGE..."
    )


def exports_table(done: "Exported") -> "Table":
    """Returns the formats beside the Keras model."""
    from rich.table import Table

    from cnnsearch.exporters.formats import Target

    table = Table("format", "file")
    for head in ("size", "accuracy", "change", "max. difference", "same class", "latency"):
        table.add_column(head, justify="right")
    before = done.test_accuracy
    latency = f"{done.latency_ms:.2f} ms"
    table.add_row("Keras model", "(in memory)", "", f"{before:.2%}", "", "", "", latency)
    for each in done.formats:
        table.add_row(
            Target(each.format, each.quantize).label,
            each.file,
            f"{each.bytes / 1e6:.3f} MB",
            f"{each.test_accuracy:.2%}",
            f"{100 * (each.test_accuracy - before):+.2f}",
            f"{each.largest_difference:.1e}",
            f"{each.agreement:.2%}",
            f"{each.latency_ms:.2f} ms" + ("" if each.batch == 1 else f" for {each.batch}"),
        )
    return table


@app.command()
def predict(
    export: Annotated[Path, typer.Argument(help="The folder of an export, or a file in it.")],
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    top_k: Annotated[int, typer.Option("--top-k", help="Classes told of each image.")] = 5,
    json_: Json = False,
) -> None:
    """Classify image files with an export."""
    from cnnsearch.exporters.predict import predict as classify

    found = list(classify(export, images, top_k))
    if json_:
        told = [
            {"image": p.image, "classes": [{"class": n, "probability": v} for n, v in p.classes]}
            for p in found
        ]
        print_json(told)
        return
    for each in found:
        answers = ", ".join(f"{name} {share:.1%}" for name, share in each.classes)
        print(f"{each.image}: {answers}")
