"""Commands that report on runs and compare them."""

from pathlib import Path
from typing import Annotated

import typer

from cnnsearch.cli.common import (
    RUNS,
    Json,
    LatestRun,
    Runs,
    command,
    make_console,
    open_run,
    print_json,
)
from cnnsearch.cli.completion import complete_run


@command("cnnsearch report", "cnnsearch report first --out first.html --format both")
def report(
    run: LatestRun = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; default: report in the run's folder.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="html, md or both.")] = "html",
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    runs: Runs = RUNS,
) -> None:
    """Write a report of a search, in one file.

    Settings, best candidate, accuracy against cost, important choices, failures, time.
    """
    from cnnsearch.report.report import write_report

    for path in write_report(open_run(runs, run), out, form, force=force):
        print(f"Wrote {path}")


@command("cnnsearch compare first second")
def compare(
    names: Annotated[
        list[str], typer.Argument(help="Names of two or more runs.", autocompletion=complete_run)
    ],
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Compare searches: settings and results."""
    from cnnsearch.report.comparison import (
        build_comparison_table,
        compare_runs,
        summarize_comparison,
    )

    found = compare_runs(runs, names)
    if json_:
        print_json([vars(one) for one in found])
        return
    terminal = make_console()
    terminal.print(build_comparison_table(found))
    for line in summarize_comparison(found):
        terminal.print(line, highlight=False, markup=False)
