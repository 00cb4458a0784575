"""The command that compares search spaces."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cnnsearch.cli.common import (
    INTERRUPTED,
    RUNS,
    DataCommand,
    Json,
    Plain,
    Quiet,
    Runs,
    command,
    make_console,
    make_display,
    print_json,
)
from cnnsearch.cli.completion import complete_space
from cnnsearch.cli.options import BUDGETS, add_settings


@command(
    "cnnsearch spaces compare residual separable --max-macs 20M --candidates 100",
    "cnnsearch spaces compare mixed my_space.yaml --data photos/ --name mine",
    name="spaces compare",
    cls=DataCommand,
)
@add_settings(
    ["data", "train_share", "image", *BUDGETS, "epochs", "seed", "workers",
     "trial_timeout", "skip_bad_images", "data_dir", "mlflow_uri"],
    workers="Trainings in parallel; 0: in this process; default: 1.",
)  # fmt: skip
def compare_search_spaces(
    spaces: Annotated[
        list[str],
        typer.Argument(
            help="Two or more spaces; the others are compared with the first.",
            metavar="SPACE...",
            autocompletion=complete_space,
        ),
    ],
    candidates: Annotated[
        int, typer.Option(help="Random candidates of each space to train.")
    ] = 100,
    name: Annotated[
        str | None, typer.Option(help="What the runs' names begin with; existing ones are resumed.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="File of the plot (PNG); default: in the last run's folder.")
    ] = None,
    runs: Runs = RUNS,
    json_: Json = False,
    quiet: Quiet = False,
    plain: Plain = False,
    **settings: Any,
) -> None:
    """Compare spaces by random candidates of each.

    All are trained alike within one budget; the distributions of their errors are compared. The
    same --name again resumes, and with more --candidates adds to what there is.
    """
    from cnnsearch.studies.space_comparison import compare_spaces
    from cnnsearch.studies.space_comparison.summary import explain, make_table

    workers = 1 if settings["workers"] is None else settings["workers"]
    found = compare_spaces(
        spaces,
        settings.pop("data"),
        candidates=candidates,
        name=name,
        plot=plot,
        runs=runs,
        callback=make_display(False, json_ or quiet, plain),
        **{**settings, "workers": workers},
    )
    if json_:
        print_json(found.to_data())
    elif not quiet:
        print()
        make_console().print(make_table(found))
        for line in explain(found):
            print(line)
        if found.plot is not None:
            print(f"Picture: {found.plot}")
    if found.reason == "interrupted":
        sys.exit(INTERRUPTED)
