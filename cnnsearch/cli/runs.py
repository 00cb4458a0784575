"""Commands that search, resume, and show results."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnsearch.cli.common import (
    INTERRUPTED,
    RUNS,
    Json,
    LatestRun,
    Name,
    OptionalSpace,
    PlacedCommand,
    Plain,
    Quiet,
    RunName,
    Runs,
    command,
    make_console,
    make_display,
    open_run,
    print_json,
)
from cnnsearch.cli.options import add_settings, list_keys

if TYPE_CHECKING:
    from cnnsearch.engine.search_session import SearchResult
    from cnnsearch.runs.directory import RunDirectory
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
    make_console().print(table)


@command("cnnsearch results", "cnnsearch results first --limit 5", "cnnsearch results first --time")
def results(
    run: LatestRun = None,
    limit: Annotated[int, typer.Option(help="Rows of the leaderboard.", min=1)] = 20,
    time: Annotated[bool, typer.Option("--time", help="Show what the time was spent on.")] = False,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Show the leaderboard and Pareto front.

    The front: candidates that no other one beats in both accuracy and MACs, or in all objectives.
    """
    from cnnsearch.architecture.costs import choose_columns
    from cnnsearch.report.tables import build_results_table, draw_pareto_plot
    from cnnsearch.runs.lookup import find_recommended
    from cnnsearch.runs.pareto import measure_front
    from cnnsearch.runs.ranking import find_pareto_front, rank_trials, select_last_rungs
    from cnnsearch.training.objectives import costs_of, objective_of

    opened = open_run(runs, run)
    if time:
        _show_time(opened, limit, json_)
        return
    if opened.manifest.get("kind") == "final":
        from cnnsearch.cli.train import show_final

        show_final(opened, json_)
        return
    trials = select_last_rungs(opened.db.get_trials())
    settings = opened.manifest["settings"]
    costs, measured = costs_of(settings), measure_front(settings, trials)
    columns = choose_columns(settings, costs)
    recommended = find_recommended(opened)
    if json_:
        from cnnsearch.engine.display import describe_trial

        ranked, front = rank_trials(trials), find_pareto_front(trials, costs)
        board = [describe_trial(trial) for trial in ranked]
        found = {"run": opened.name, "state": opened.state, "leaderboard": board}
        volume = {"hypervolume": measured.hypervolume} if measured else {}
        chosen = {"recommended": recommended.id if recommended else None}
        print_json({**found, "pareto": [trial.id for trial in front], **volume, **chosen})
        return
    terminal = make_console()
    finished = sum(trial.score is not None for trial in trials)
    running = ", still running" if opened.state == "running" else ""
    title = f"Run {opened.name}{running}: {finished} finished candidates, best first"
    what = objective_of(settings).heading
    beside = (objective_of(settings).per_epoch,) if objective_of(settings).quantized else ()
    terminal.print(
        build_results_table(trials, title, limit, what, costs, columns, beside, terminal.width)
    )
    if recommended:
        from cnnsearch.engine.display.text import describe_recommended

        line = describe_recommended(recommended, opened.name)
        terminal.print(line, highlight=False, markup=False)
    if measured:
        terminal.print(f"\n{measured.describe()}", highlight=False, markup=False)
    plot = draw_pareto_plot(trials, costs=costs)
    if plot:
        words, both = what.replace("val", "Validation"), "all objectives" if costs else "both"
        terminal.print(f"\n{words} against MACs (log scale); ● no other beats in {both}")
        terminal.print(plot, highlight=False, markup=False)
    for trial in trials:
        if trial.status == "failed":
            terminal.print(
                f"trial {trial.id} failed: {trial.reason}", highlight=False, markup=False
            )


def _show_time(run: "RunDirectory", limit: int, json_: bool) -> None:
    """Shows what the wall time of a run was spent on."""
    from cnnsearch.report.tables import build_time_tables
    from cnnsearch.report.time_ledger import read_ledger
    from cnnsearch.utils.units import pluralize

    ledger = read_ledger(run)
    if json_:
        print_json({"run": run.name, **vars(ledger)})
        return
    title = f"Run {run.name}: wall time of {pluralize(ledger.sessions, 'session')}"
    for table in build_time_tables(ledger, title, limit):
        make_console().print(table)
