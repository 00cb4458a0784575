"""Commands that tell of runs: a report to send, and runs side by side."""

from pathlib import Path
from typing import Annotated

import typer

from cnnsearch.cli.common import RUNS, Json, Runs, app, console, open_run, print_json


@app.command()
def report(
    run: Annotated[str | None, typer.Argument(help="The run's name; default: the latest.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; default: report in the run's folder.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="html, md or both.")] = "html",
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
    runs: Runs = RUNS,
) -> None:
    """Write a report of a search: one file that needs no network.

    What was asked, the answer, accuracy against cost, what mattered, what failed, what it took.
    """
    from cnnsearch.report.report import write_report

    for path in write_report(open_run(runs, run), out, form, force=force):
        print(f"Wrote {path}")


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(help="The runs' names, two or more.")],
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Show searches side by side.

    What differs in what was asked, and in what was found.
    """
    from cnnsearch.report.comparison import (
        build_comparison_table,
        compare_runs,
        summarize_comparison,
    )

    found = compare_runs(runs, names)
    if json_:
        print_json([vars(one) for one in found])
        return
    terminal = console()
    terminal.print(build_comparison_table(found))
    for line in summarize_comparison(found):
        terminal.print(line, highlight=False, markup=False)
