"""The command that trains winners in full and judges them on the test split."""

import json
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cnnsearch.cli.common import (
    INTERRUPTED,
    RUNS,
    Gpus,
    GpusPerTrial,
    Json,
    PlacedCommand,
    Ray,
    Runs,
    app,
    console,
    watcher_of,
)

if TYPE_CHECKING:
    from cnnsearch.runs.directory import RunDirectory


@app.command(cls=PlacedCommand)
def train(
    which: Annotated[
        str, typer.Argument(help="best, a trial's id, a published network, or the file of one.")
    ] = "best",
    run: Annotated[
        str | None, typer.Option("--run", help="The search it is of; default: the latest.")
    ] = None,
    top: Annotated[int, typer.Option(help="With best: so many of the leaderboard.")] = 1,
    seeds: Annotated[int, typer.Option(help="Trainings of each network.")] = 3,
    epochs: Annotated[
        int | None, typer.Option(help="Of each training; default: 5 times the search's.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Another data set than the search's.")] = None,
    hold_out: Annotated[
        bool,
        typer.Option("--hold-out", help="Do not train on validation images; keep the best epoch."),
    ] = False,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change the recipe: --set ema=0.99 --set mixup=0.2."),
    ] = None,
    references: Annotated[
        str | None,
        typer.Option(
            help="all, random (costs the search again), published or none; default: all there are."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the run; the same name again goes on with it.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Trainings side by side.")] = None,
    gpus: Gpus = None,
    workers_per_gpu: Annotated[
        int | None, typer.Option("--workers-per-gpu", help="Workers that share one of --gpus.")
    ] = None,
    ray: Ray = None,
    gpus_per_trial: GpusPerTrial = None,
    trial_timeout: Annotated[
        str | None, typer.Option("--trial-timeout", help="Give a training up after so long.")
    ] = None,
    max_time: Annotated[
        str | None,
        typer.Option("--max-time", help="Train no longer than 2h; evaluate what is finished."),
    ] = None,
    mlflow_uri: Annotated[
        str | None, typer.Option("--mlflow-uri", help="Another MLflow store than runs/mlflow.db.")
    ] = None,
    runs: Runs = RUNS,
    json_: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live table.")] = False,
) -> None:
    """Train winners in full and judge them once.

    Several seeds each, on train and validation together, judged on the untouched test split.
    Beside them, by the same recipe and for as long: the best of equally many random candidates,
    and a published network of similar MACs.
    """
    from cnnsearch.studies.final.final_training import train_final

    result = train_final(
        which,
        run,
        top=top,
        seeds=seeds,
        epochs=epochs,
        data=data,
        hold_out=hold_out,
        changes=tuple(change or ()),
        references=references,
        name=name,
        runs=runs,
        workers=workers,
        gpus=gpus,
        workers_per_gpu=workers_per_gpu,
        ray=ray,
        gpus_per_trial=gpus_per_trial,
        trial_timeout=trial_timeout,
        max_time=max_time,
        mlflow_uri=mlflow_uri,
        watcher=watcher_of(json_, quiet, plain),
    )
    if not quiet:
        show_final(result.run, json_, result.reason)
    if result.reason == "interrupted":
        sys.exit(INTERRUPTED)


def show_final(run: "RunDirectory", json_: bool, reason: str = "trials") -> None:
    """Prints a final training's results."""
    from cnnsearch.studies.final.artifacts import get_result_data
    from cnnsearch.studies.final.results import compute_rows, explain_results
    from cnnsearch.studies.final.table import list_notes, make_table

    if json_:
        print(json.dumps({"event": "results", "reason": reason, **get_result_data(run)}))
        return
    found, terminal = compute_rows(run), console()
    if found:
        terminal.print(make_table(run, found))
    for line in [*explain_results(run, found), *(list_notes(run, found) if found else ())]:
        terminal.print(line, highlight=False, markup=False)
    if reason != "trials":
        root = "" if run.path.parent == RUNS else f" --runs {shlex.quote(str(run.path.parent))}"
        terminal.print(f"Go on with:   cnnsearch resume {run.name}{root}", highlight=False)
