"""Commands that show runs in MLflow."""

import sys
from typing import Annotated

import typer

from cnnsearch.cli.common import RUNS, Runs, app, open_run


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
    from cnnsearch.runs.mlflow import count_missing, open_browser
    from cnnsearch.runs.mlflow import serve_ui as serve
    from cnnsearch.runs.mlflow import sync as synchronize

    opened = open_run(runs, run)
    lacking = not (runs / "mlflow.db").is_file() or count_missing(opened)
    lacking = lacking or (opened.path / "report.html").is_file()
    if opened.owner is None and lacking:
        synchronize(opened)
    print("Starting MLflow ...", flush=True)
    with serve(runs, port) as server:
        print(f"MLflow UI:        {server.url}")
        print(f"Run {opened.name}: {server.locate_search(opened)}")
        print("Ctrl-C ends it.", flush=True)
        if browser and sys.stdout.isatty():
            open_browser(server.locate_search(opened))
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
    from cnnsearch.runs.mlflow import sync as synchronize

    opened = open_run(runs, run)
    uri = mlflow_uri or opened.manifest.get("settings", {}).get("mlflow_uri")
    lacked = synchronize(opened, uri)
    print(f"Run {opened.name}: {lacked} events brought to MLflow.")
