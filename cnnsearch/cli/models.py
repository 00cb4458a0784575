"""Commands that show runs in MLflow."""

import sys
from typing import Annotated

import typer

from cnnsearch.cli.common import RUNS, LatestRun, RunName, Runs, StoreUri, command, open_run


@command("cnnsearch ui", "cnnsearch ui first --port 5000 --no-browser")
def ui(
    run: LatestRun = None,
    port: Annotated[int | None, typer.Option(help="Port; default: a free one.")] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page (not over SSH).")
    ] = True,
    runs: Runs = RUNS,
) -> None:
    """Serve the MLflow UI on this machine.

    It has all runs, and listens on the loopback address only.
    """
    from cnnsearch.runs.mlflow import count_missing, open_browser
    from cnnsearch.runs.mlflow import serve_ui as serve
    from cnnsearch.runs.mlflow import sync as synchronize

    opened = open_run(runs, run)
    outdated = not (runs / "mlflow.db").is_file() or count_missing(opened)
    outdated = outdated or (opened.path / "report.html").is_file()
    if opened.owner is None and outdated:
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


@command("cnnsearch sync first", "cnnsearch sync first --mlflow-uri http://tracking:5000")
def sync(
    run: RunName,
    mlflow_uri: StoreUri = None,
    runs: Runs = RUNS,
) -> None:
    """Bring MLflow up to date with a run.

    After an outage of the tracking server, or to copy a run to another store.
    """
    from cnnsearch.runs.mlflow import sync as synchronize

    opened = open_run(runs, run)
    uri = mlflow_uri or opened.manifest.get("settings", {}).get("mlflow_uri")
    sent = synchronize(opened, uri)
    print(f"Run {opened.name}: {sent} events sent to MLflow.")
