"""Commands that search, and that look at what was found."""

import sys
from typing import Annotated, Any

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
    Space,
    app,
    console,
    make_display,
    open_run,
    print_json,
)
from cnnsearch.cli.options import add_settings, list_keys


@app.command(cls=PlacedCommand)
@add_settings(list_keys())
def search(
    space: Space,
    name: Name = None,
    runs: Runs = RUNS,
    json_: Json = False,
    quiet: Quiet = False,
    plain: Plain = False,
    **settings: Any,
) -> None:
    """Search a space on your images.

    The same --name again resumes the run. Ctrl-C once stops it and keeps everything.
    """
    from cnnsearch.engine.search import search as run_search

    settings["changes"] = settings["changes"] or ()
    callback = make_display(json_, quiet, plain)
    result = run_search(
        space, settings.pop("data"), name=name, runs=runs, callback=callback, **settings
    )
    _leave(result.reason)


def _leave(reason: str) -> None:
    """An interrupted search is told apart by its exit code, as a shell does it."""
    if reason == "interrupted":
        sys.exit(INTERRUPTED)


@app.command(cls=PlacedCommand)
@add_settings(["trials", "max_time", "max_failures", *list_keys("placement")], as_changes=True)
def resume(
    run: Annotated[str, typer.Argument(help="The run's name.")],
    runs: Runs = RUNS,
    json_: Json = False,
    quiet: Quiet = False,
    plain: Plain = False,
    **changes: Any,
) -> None:
    """Resume a run with the settings it was started with."""
    from cnnsearch.engine.search import resume as resume_search
    from cnnsearch.runs.directory import RunDirectory
    from cnnsearch.studies.final.run import exists_final, run_final

    callback = make_display(json_, quiet, plain)
    if not exists_final(runs, run):
        _leave(resume_search(run, runs=runs, callback=callback, **changes).reason)
        return
    from cnnsearch.cli.train import show_final

    del changes["trials"], changes["max_failures"]
    final = run_final(RunDirectory.open(runs, run), callback, changes.pop("max_time"), **changes)
    if not quiet:
        show_final(final.run, json_, final.reason)
    _leave(final.reason)


@app.command("runs")
def list_all(runs: Runs = RUNS, json_: Json = False) -> None:
    """List the runs and their states."""
    from rich.table import Table

    from cnnsearch.runs.directory import list_runs

    found = list_runs(runs)
    if json_:
        print_json([vars(summary) for summary in found])
        return
    if not found:
        print(f"There is no run in {runs} yet; cnnsearch search tiny makes one.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("run", "kind", "state", "candidates", "completed", "best"):
        table.add_column(name)
    for one in found:
        best = "-" if one.best is None else f"{one.best:.2%}"
        table.add_row(one.name, one.kind, one.state, str(one.trials), str(one.completed), best)
    console().print(table)


@app.command()
def results(
    run: Annotated[str | None, typer.Argument(help="The run's name; default: the latest.")] = None,
    limit: Annotated[int, typer.Option(help="Show the best so many.", min=1)] = 20,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Show the leaderboard and Pareto front.

    The front holds the candidates that no other one beats in both accuracy and MACs.
    """
    from cnnsearch.report.tables import build_results_table, draw_pareto_plot
    from cnnsearch.runs.ranking import find_pareto_front, rank_trials, select_last_rungs
    from cnnsearch.training.objectives import objective_of

    opened = open_run(runs, run)
    if opened.manifest.get("kind") == "final":
        from cnnsearch.cli.train import show_final

        show_final(opened, json_)
        return
    trials = select_last_rungs(opened.db.get_trials())
    if json_:
        from cnnsearch.engine.display import describe_trial

        ranked, front = rank_trials(trials), find_pareto_front(trials)
        board = [describe_trial(trial) for trial in ranked]
        print_json({"run": opened.name, "leaderboard": board, "pareto": [t.id for t in front]})
        return
    terminal = console()
    finished = sum(trial.score is not None for trial in trials)
    title = f"Run {opened.name}: {finished} finished candidates, best first"
    what = objective_of(opened.manifest["settings"]).heading
    terminal.print(build_results_table(trials, title, limit, what))
    plot = draw_pareto_plot(trials)
    if plot:
        words = what.replace("val", "Validation")
        terminal.print(f"\n{words} against MACs (log scale); ● no other beats in both")
        terminal.print(plot, highlight=False, markup=False)
    for trial in trials:
        if trial.status == "failed":
            terminal.print(
                f"trial {trial.id} failed: {trial.reason}", highlight=False, markup=False
            )
