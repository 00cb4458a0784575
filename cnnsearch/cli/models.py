"""Commands that export models and show them in MLflow."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cnnsearch.cli.common import RUNS, Json, Runs, app, open_run, print_json


@app.command()
def export(
    which: Annotated[str, typer.Argument(help="best, or a trial's id.")] = "best",
    run: Annotated[str | None, typer.Option(help="The run's name; default: the latest.")] = None,
    out: Annotated[Path, typer.Option(help="The folder to make.")] = Path("exports/best"),
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Export a candidate and verify it.

    Writes a SavedModel that takes uint8 images of any size, reloads it in a fresh process, compares
    it with the Keras model on real images and scores it on the untouched test split.
    """
    from dataclasses import asdict

    from cnnsearch.export import export as export_model

    done = export_model(open_run(runs, run), which, out, force=force)
    if json_:
        print_json(asdict(done))
        return
    print(f"Exported trial {done.trial} to {done.path} ({done.bytes / 1e6:.2f} MB, SavedModel).")
    print(
        f"Reloaded in a fresh process: on {done.compared} real images no class probability differs "
        f"from the Keras model's by more than {done.largest_difference:.1e}."
    )
    if done.test_accuracy is not None and done.interval is not None:
        low, high = done.interval
        print(
            f"Test accuracy {done.test_accuracy:.2%} (95 % interval {low:.2%} to {high:.2%})"
            f" on {done.test_images:,} images that no candidate saw."
        )


@app.command()
def ui(
    run: Annotated[str | None, typer.Argument(help="The run to show; default: the latest.")] = None,
    port: Annotated[int | None, typer.Option(help="Default: one that is free.")] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page; never done over SSH.")
    ] = True,
    runs: Runs = RUNS,
) -> None:
    """Serve the MLflow UI on this machine.

    All runs are in it; it listens on the loopback address only.
    """
    from cnnsearch.tracking import behind, show
    from cnnsearch.tracking import sync as synchronize
    from cnnsearch.tracking import ui as serve

    opened = open_run(runs, run)
    lacking = not (runs / "mlflow.db").is_file() or behind(opened)
    if opened.owner is None and lacking:
        synchronize(opened)
    print("Starting MLflow ...", flush=True)
    with serve(runs, port) as server:
        print(f"MLflow UI:        {server.url}")
        print(f"Run {opened.name}: {server.page(opened)}")
        print("Ctrl-C ends it.", flush=True)
        if browser and sys.stdout.isatty():
            show(server.page(opened))
        try:
            server.process.wait()
        except KeyboardInterrupt:
            print()


@app.command()
def sync(
    run: Annotated[str, typer.Argument(help="The run's name.")],
    mlflow_uri: Annotated[
        str | None, typer.Option("--mlflow-uri", help="The store; default: the run's own.")
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Bring MLflow up to date with a run.

    For a run whose tracking server was down, or to copy a run into another store.
    """
    from cnnsearch.tracking import sync as synchronize

    opened = open_run(runs, run)
    uri = mlflow_uri or opened.manifest.get("settings", {}).get("mlflow_uri")
    lacked = synchronize(opened, uri)
    print(f"Run {opened.name}: {lacked} events brought to MLflow.")
