"""Shows the leaderboard and the Pareto front in the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnsearch.architecture.costs import COSTS, MACS, CostKind
from cnnsearch.report.time_ledger import ACTIVITIES, TimeLedger
from cnnsearch.runs.ranking import find_pareto_front, rank_trials
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.objectives import Objective
from cnnsearch.utils.units import format_time

if TYPE_CHECKING:
    from rich.table import Table


COMFORTABLE = 100
"""Characters of a terminal in which every basic column fits with its padding."""


def build_results_table(
    trials: Sequence[TrialRecord],
    title: str,
    limit: int | None = None,
    measured: str = "val accuracy",
    costs: Sequence[CostKind] = (),
    columns: Sequence[CostKind] = COSTS,
    beside: Sequence[Objective] = (),
    width: int | None = None,
) -> "Table":
    """Returns the leaderboard as a table that marks the Pareto front of score and costs (MACs).

    Args:
        trials: of a run.
        title: of the table.
        limit: of its rows.
        measured: heading of the score.
        costs: of the front.
        columns: costs to show.
        beside: other metrics to show.
        width: of the terminal. In a narrow one, cells touch their lines, costs that follow from
            others are left out, and the family is cut rather than a number.
    """
    from rich.markup import escape
    from rich.table import Table

    front = {trial.id for trial in find_pareto_front(trials, costs)}
    extra = [kind.heading for kind in columns if not kind.is_basic]
    extra += [each.heading for each in beside]
    is_narrow = width is not None and width < COMFORTABLE + sum(len(name) + 5 for name in extra)
    columns = [kind for kind in columns if not (is_narrow and kind.is_derived)]
    padding = (0, 0) if is_narrow else (0, 1)
    table = Table(title=title, title_justify="left", padding=padding)
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("family", overflow="ellipsis")
    others = (each.heading for each in beside)
    names = (escape(measured), *others, *(kind.heading for kind in columns), "epochs", "time")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Pareto", justify="center", no_wrap=True)
    for rank, trial in enumerate(rank_trials(trials)[:limit], start=1):
        table.add_row(
            *(str(rank), *map(escape, _format_cells(trial, columns, beside))),
            "●" if trial.id in front else "",
        )
    return table


def _format_cells(
    trial: TrialRecord, columns: Sequence[CostKind], beside: Sequence[Objective]
) -> list[str]:
    return [
        trial.id,
        trial.label,
        f"{trial.score or 0.0:.2%}",
        *(f"{trial.metrics.get(each.metric, 0.0):.2%}" for each in beside),
        *(kind.format(kind.read(trial)) for kind in columns),
        str(trial.epochs),
        format_time(trial.seconds or 0.0),
    ]


def build_time_tables(ledger: TimeLedger, title: str, limit: int) -> tuple["Table", "Table"]:
    """Returns the seconds of a run by activity, and those of its first trials."""
    from rich.table import Table

    run = Table(title=title, title_justify="left")
    run.add_column("activity")
    run.add_column("time", justify="right")
    run.add_column("share", justify="right")
    run.add_column("what it includes")
    for name, seconds, share in ledger.list_shares():
        run.add_row(name, f"{seconds:.1f} s", f"{share:.1%}", ACTIVITIES[name])
    run.add_row("all", f"{ledger.wall:.1f} s", "100.0%", "")
    trials = Table(title="Seconds of each trial", title_justify="left")
    trials.add_column("trial", justify="right")
    names = [name for name in ACTIVITIES if any(name in each for each in ledger.trials.values())]
    for name in (*names, "all"):
        trials.add_column(name, justify="right")
    for trial_id, found in list(ledger.trials.items())[:limit]:
        cells = [*(found.get(name, 0.0) for name in names), found.total]
        trials.add_row(trial_id, *(f"{cell:.2f}" for cell in cells))
    return run, trials


def draw_pareto_plot(
    trials: Sequence[TrialRecord], width: int = 64, height: int = 14, kind: CostKind = MACS
) -> str:
    """Draws scores over a cost (log scale) in characters; the front of both stands out."""
    import math

    priced = [t for t in trials if t.score is not None and kind.read(t)]
    if len(priced) < 2:
        return ""
    xs = [math.log10(kind.read(t) or 1) for t in priced]
    ys = [t.score or 0.0 for t in priced]
    left, right, bottom, top = min(xs), max(xs), min(ys), max(ys)
    front = {trial.id for trial in find_pareto_front(trials, (kind,))}
    grid = [[" "] * width for _ in range(height)]
    for trial, x, y in sorted(zip(priced, xs, ys, strict=True), key=lambda p: p[0].id in front):
        column = round((x - left) / ((right - left) or 1) * (width - 1))
        row = round((top - y) / ((top - bottom) or 1) * (height - 1))
        grid[row][column] = "●" if trial.id in front else "·"
    edges = {0: f"{top:7.2%}", height - 1: f"{bottom:7.2%}"}
    lines = [f"{edges.get(i, ''):>7} │{''.join(row)}" for i, row in enumerate(grid)]
    low, high = (kind.describe(10**v) for v in (left, right))
    axis = f"{low}{high:>{width - len(low)}}"
    return "\n".join([*lines, f"{'':7} └{'─' * width}", f"{'':9}{axis}"])
