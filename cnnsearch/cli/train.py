"""The command that trains winners in full and evaluates them on the test split."""

import json
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnsearch.cli.common import (
    INTERRUPTED,
    RUNS,
    Json,
    Name,
    PlacedCommand,
    Plain,
    Quiet,
    Runs,
    command,
    make_console,
    make_display,
)
from cnnsearch.cli.completion import complete_run
from cnnsearch.cli.options import add_settings, list_keys

if TYPE_CHECKING:
    from cnnsearch.runs.directory import RunDirectory


QUANTIZE_AWARE = "quantize_aware=0.2"
"""What ``--quantize-aware`` changes in the recipe."""


@command(
    "cnnsearch train",
    "cnnsearch train --top 3 --seeds 3 --epochs 100",
    "cnnsearch train 007 --run first --hold-out",
    cls=PlacedCommand,
)
@add_settings(
    ["epochs", "data", "changes", *list_keys("placement"), "max_time"],
    as_changes=True,
    epochs="Epochs of each training; default: 5 times the search's.",
    data="Another data set than the search's.",
    workers="Trainings in parallel; default: the search's.",
    trial_timeout="Stop a training that takes longer: 30m.",
    max_time="Stop training after 2h and evaluate what is finished.",
)
def train(
    which: Annotated[
        str, typer.Argument(help="best, a trial's id, a published network, or a file.")
    ] = "best",
    run: Annotated[
        str | None,
        typer.Option("--run", help="The search; default: the latest.", autocompletion=complete_run),
    ] = None,
    top: Annotated[int, typer.Option(help="With best: this many of the leaderboard.")] = 1,
    seeds: Annotated[int, typer.Option(help="Trainings of each network.")] = 3,
    hold_out: Annotated[
        bool,
        typer.Option("--hold-out", help="Do not train on validation images; keep the best epoch."),
    ] = False,
    drop_copies: Annotated[
        bool,
        typer.Option(
            "--drop-copies", help="Leave training images out whose pixels a held-out split has."
        ),
    ] = False,
    references: Annotated[
        str | None,
        typer.Option(
            help="Baselines: all, random (costs the search again), published or none; default: all."
        ),
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Test on averages over mirrored images too.")
    ] = False,
    quantize_aware: Annotated[
        bool,
        typer.Option(
            "--quantize-aware", help="Train the last fifth of the epochs for an int8 export."
        ),
    ] = False,
    name: Name = None,
    runs: Runs = RUNS,
    json_: Json = False,
    quiet: Quiet = False,
    plain: Plain = False,
    **settings: Any,
) -> None:
    """Train winners in full and test them once.

    Several seeds each, on the training and validation splits together. Beside them, with the same
    recipe and as many epochs: the best of equally many random candidates, and a published network
    of similar MACs.
    """
    from cnnsearch.studies.final.final_training import train_final

    settings["changes"] = settings["changes"] or ()
    if quantize_aware:
        settings["changes"] = (*settings["changes"], QUANTIZE_AWARE)
    result = train_final(
        which,
        run,
        top=top,
        seeds=seeds,
        hold_out=hold_out,
        drop_copies=drop_copies,
        references=references,
        mirror=mirror,
        name=name,
        runs=runs,
        callback=make_display(json_, quiet, plain),
        **settings,
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
    found, terminal = compute_rows(run), make_console()
    if found:
        terminal.print(make_table(run, found))
    for line in [*explain_results(run, found), *(list_notes(run, found) if found else ())]:
        terminal.print(line, highlight=False, markup=False)
    if reason != "trials":
        root = "" if run.path.parent == RUNS else f" --runs {shlex.quote(str(run.path.parent))}"
        terminal.print(f"Resume:    cnnsearch resume {run.name}{root}", highlight=False)
