"""Commands that search, resume, and show results."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cnnsearch.cli.common import (
    INTERRUPTED,
    RUNS,
    Json,
    Name,
    OptionalSpace,
    PlacedCommand,
    Plain,
    Quiet,
    RunName,
    Runs,
    command,
    make_display,
    print_json,
    print_table,
)
from cnnsearch.cli.options import add_settings, list_keys

if TYPE_CHECKING:
    from cnnsearch.engine.search_session import SearchResult
    from cnnsearch.space.search_space import SearchSpace

ENDS = ("trials", "max_time", "stop_when_enough", "max_failures")
"""Settings of a search's end, which may change when it is resumed."""
REPORT_SECONDS = 120.0
"""A report that takes longer is left out; ``cnnsearch report`` writes it."""


@command(
    "cnnsearch search --data photos/ --max-time 1h",
    "cnnsearch search tiny --trials 5",
    "cnnsearch search residual --data photos/ --max-macs 300M --max-time 2h",
    "cnnsearch search photos.yaml --data photos.zip --name first",
    cls=PlacedCommand,
)
@add_settings(list_keys())
def search(
    context: typer.Context,
    space: OptionalSpace = None,
    name: Name = None,
    runs: Runs = RUNS,
    json_: Json = False,
    quiet: Quiet = False,
    plain: Plain = False,
    **settings: Any,
) -> None:
    """Search a space on your images.

    Without a space, one is chosen for the images of --data, as cnnsearch init does. The same --name
    again resumes the run. Ctrl-C once stops it and keeps everything.
    """
    from cnnsearch.engine.search import search as run_search

    callback, is_shown = make_display(json_, quiet, plain), not (json_ or quiet)
    given = {key: value for key, value in settings.items() if _is_given(context, key)}
    if space is None and name is not None and _exists(runs, name):
        _resume(name, runs, callback, given, is_shown)
        return
    chosen = space or _choose_space(given, settings, is_shown)
    settings |= {key: settings[key] or () for key in ("changes", "learn_from")}
    result = run_search(
        chosen, settings.pop("data"), name=name, runs=runs, callback=callback, **settings
    )
    _report(result, is_shown)
    _exit(result)


def _is_given(context: typer.Context, key: str) -> bool:
    source = context.get_parameter_source(key)
    return source is not None and source.name == "COMMANDLINE"


def _exists(runs: Path, name: str) -> bool:
    from cnnsearch.runs.directory import RunDirectory

    return RunDirectory.exists(runs, name)


def _choose_space(given: dict[str, Any], settings: dict[str, Any], is_shown: bool) -> "SearchSpace":
    """Proposes a search as ``cnnsearch init`` does, and puts its settings in place."""
    from cnnsearch.cli.setup import propose_search, show_choices
    from cnnsearch.errors import CnnsearchError
    from cnnsearch.space.search_space import SearchSpace

    if "data" not in given:
        raise CnnsearchError("SPACE or --data: name a space, or the images to choose one for")
    kept = {key: value for key, value in given.items() if key != "data"}
    proposal = propose_search(given["data"], kept)
    settings |= proposal.settings
    file = f"{proposal.name}.yaml"
    if is_shown:
        show_choices(proposal)
    text = proposal.write_file(proposal.write_command(file, given["data"]))
    return SearchSpace.from_text(text, file)


def _resume(name: str, runs: Path, callback: Any, changes: dict[str, Any], is_shown: bool) -> None:
    from cnnsearch.engine.search import resume as resume_search

    result = resume_search(name, runs=runs, callback=callback, **changes)
    _report(result, is_shown)
    _exit(result)


def _report(result: "SearchResult", is_shown: bool) -> None:
    """Writes the report; that it cannot be written is no reason to fail."""
    if result.best is None or result.reason == "interrupted":
        return
    from cnnsearch.errors import RunError
    from cnnsearch.utils.subprocesses import run_module

    folder = result.run.path
    try:
        (path,) = run_module("cnnsearch.report", folder, fail=RunError, seconds=REPORT_SECONDS)
    except RunError as error:
        print(f"cnnsearch: the report was not written: {error}", file=sys.stderr)
        return
    if is_shown:
        print(f"Report:    {path}")


def _exit(result: "SearchResult") -> None:
    """Exits with 1 if the run has no trained candidate, so that scripts notice."""
    _exit_if_interrupted(result.reason)
    if result.best is None:
        print("cnnsearch: no candidate was trained", file=sys.stderr)
        sys.exit(1)


def _exit_if_interrupted(reason: str) -> None:
    """Exits with the code of an interrupt, as shells do."""
    if reason == "interrupted":
        sys.exit(INTERRUPTED)


@command(
    "cnnsearch resume first", "cnnsearch resume first --trials 60 --max-time 1h", cls=PlacedCommand
)
@add_settings([*ENDS, *list_keys("placement")], as_changes=True)
def resume(
    run: RunName,
    runs: Runs = RUNS,
    json_: Json = False,
    quiet: Quiet = False,
    plain: Plain = False,
    **changes: Any,
) -> None:
    """Resume a run with its settings."""
    from cnnsearch.runs.directory import RunDirectory
    from cnnsearch.studies.final.run import exists_final, run_final

    callback = make_display(json_, quiet, plain)
    if not exists_final(runs, run):
        _resume(run, runs, callback, changes, is_shown=not (json_ or quiet))
        return
    from cnnsearch.cli.train import show_final

    limit = changes["max_time"]
    changes = {key: value for key, value in changes.items() if key not in ENDS}
    final = run_final(RunDirectory.open(runs, run), callback, limit, **changes)
    if not quiet:
        show_final(final.run, json_, final.reason)
    _exit_if_interrupted(final.reason)


@command("cnnsearch runs", "cnnsearch runs --json", name="runs")
def list_all(runs: Runs = RUNS, json_: Json = False) -> None:
    """List the runs and their states.

    The latest first, each with its space, data, best score and date.
    """
    from datetime import datetime

    from rich.table import Table

    from cnnsearch.runs.directory import list_runs

    found = list_runs(runs)
    if json_:
        print_json([vars(summary) for summary in found])
        return
    if not found:
        print(f"There is no run in {runs} yet; cnnsearch search tiny starts one.")
        return
    table = Table(box=None, pad_edge=False)
    columns = ("run", "kind", "state", "space", "data", "candidates", "completed", "best", "began")
    for name in columns:
        table.add_column(name)
    for one in sorted(found, key=lambda each: -(each.created or 0.0)):
        best = "-" if one.best is None else f"{one.best:.2%}"
        began = (
            "-" if one.created is None else f"{datetime.fromtimestamp(one.created):%Y-%m-%d %H:%M}"
        )
        counts = (str(one.trials), str(one.completed))
        table.add_row(one.name, one.kind, one.state, one.space, one.data, *counts, best, began)
    print_table(table, ("candidates", "completed", "best"))
