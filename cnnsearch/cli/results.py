"""The command that shows what a run found."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

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
    print_table,
)

if TYPE_CHECKING:
    from cnnsearch.architecture.costs import CostKind
    from cnnsearch.runs.directory import RunDirectory
    from cnnsearch.runs.records import TrialRecord


@command(
    "cnnsearch results",
    "cnnsearch results first --limit 5",
    "cnnsearch results first --against ram,flash",
    "cnnsearch results first --time",
)
def results(
    run: LatestRun = None,
    limit: Annotated[int, typer.Option(help="Rows of the leaderboard.", min=1)] = 20,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="COSTS",
            help="Costs of the front: params, macs, latency, ram or flash, or several;"
            " default: the objectives, or MACs.",
        ),
    ] = None,
    time: Annotated[bool, typer.Option("--time", help="Show what the time was spent on.")] = False,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Show the leaderboard and Pareto front.

    The front: candidates that no other one beats in both accuracy and MACs, or in all objectives.
    """
    from cnnsearch.architecture.costs import parse_costs

    kinds = parse_costs(against, "--against") if against is not None else ()
    opened = open_run(runs, run)
    if time:
        _show_time(opened, limit, json_)
    elif opened.manifest.get("kind") == "final":
        from cnnsearch.cli.train import show_final

        show_final(opened, json_)
    else:
        _show_search(opened, limit, kinds, json_)


def _show_search(
    run: "RunDirectory", limit: int, against: Sequence["CostKind"], json_: bool
) -> None:
    from cnnsearch.runs.pareto import count_missing
    from cnnsearch.runs.ranking import select_last_rungs

    trials = count_missing(select_last_rungs(run.db.get_trials()), against)
    _require_measured(run.name, trials, against)
    if json_:
        print_json(_describe(run, trials, against))
    else:
        _print(run, trials, limit, against)


def _require_measured(
    name: str, trials: Sequence["TrialRecord"], against: Sequence["CostKind"]
) -> None:
    """Refuses a cost that can only be measured, and was not."""
    from cnnsearch.errors import RunError

    for kind in against:
        if kind.is_measured and trials and all(kind.read(trial) is None for trial in trials):
            raise RunError(
                f"--against {kind.name}: run {name!r} did not measure it; a search does with"
                f" --max-{kind.name} or --objective 'accuracy, {kind.name}'"
            )


def _describe(
    run: "RunDirectory", trials: Sequence["TrialRecord"], against: Sequence["CostKind"]
) -> dict[str, Any]:
    """Returns the results as plain data."""
    from cnnsearch.architecture.costs import MACS
    from cnnsearch.engine.display import describe_trial
    from cnnsearch.runs.lookup import find_recommended
    from cnnsearch.runs.pareto import measure_front
    from cnnsearch.runs.ranking import find_pareto_front, rank_trials
    from cnnsearch.training.objectives import costs_of

    settings, recommended = run.manifest["settings"], find_recommended(run)
    costs, measured = against or costs_of(settings), measure_front(settings, trials)
    fronts = {
        kind.name: [trial.id for trial in find_pareto_front(trials, (kind,))]
        for kind in costs or (MACS,)
    }
    return {
        "run": run.name,
        "state": run.state,
        "leaderboard": [describe_trial(trial) for trial in rank_trials(trials)],
        "pareto": [trial.id for trial in find_pareto_front(trials, costs)],
        "fronts": fronts,
        **({"hypervolume": measured.hypervolume} if measured else {}),
        "recommended": recommended.id if recommended else None,
    }


def _print(
    run: "RunDirectory",
    trials: Sequence["TrialRecord"],
    limit: int,
    against: Sequence["CostKind"],
) -> None:
    from cnnsearch.architecture.costs import MACS, choose_columns
    from cnnsearch.report.tables import build_results_table
    from cnnsearch.training.objectives import costs_of, objective_of

    terminal, settings = make_console(), run.manifest["settings"]
    costs, objective = against or costs_of(settings), objective_of(settings)
    columns = choose_columns(settings, costs)
    finished = sum(trial.score is not None for trial in trials)
    running = ", still running" if run.state == "running" else ""
    title = f"Run {run.name}{running}: {finished} finished candidates, best first"
    beside = (objective.per_epoch,) if objective.quantized else ()
    terminal.print(
        build_results_table(
            trials, title, limit, objective.heading, costs, columns, beside, terminal.width
        )
    )
    lines = [*_recommend(run), *([] if against else _measure(settings, trials))]
    for kind in costs or (MACS,):
        lines += _draw(trials, kind, objective.heading)
    failed = [trial for trial in trials if trial.status == "failed"]
    for line in (*lines, *(f"trial {trial.id} {trial.outcome}" for trial in failed)):
        terminal.print(line, highlight=False, markup=False)


def _recommend(run: "RunDirectory") -> list[str]:
    from cnnsearch.engine.display.text import describe_recommended
    from cnnsearch.runs.lookup import find_recommended

    recommended = find_recommended(run)
    return [describe_recommended(recommended, run.name)] if recommended else []


def _measure(settings: Any, trials: Sequence["TrialRecord"]) -> list[str]:
    from cnnsearch.runs.pareto import measure_front

    measured = measure_front(settings, trials)
    return [f"\n{measured.describe()}"] if measured else []


def _draw(trials: Sequence["TrialRecord"], kind: "CostKind", what: str) -> list[str]:
    """Returns scores against a cost, in characters."""
    from cnnsearch.report.tables import draw_pareto_plot

    plot, words = draw_pareto_plot(trials, kind=kind), what.replace("val", "Validation")
    both = f"\n{words} against {kind.heading} (log scale); ● no other beats in both"
    return [both, plot] if plot else []


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
        print_table(table)
