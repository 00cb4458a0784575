"""A comparison of spaces in the terminal."""

from statistics import median
from typing import TYPE_CHECKING

from cnnsearch.studies.space_comparison.study import SpaceComparison, SpaceDifference
from cnnsearch.utils.units import format_amount

if TYPE_CHECKING:
    from rich.table import Table


def make_table(comparison: SpaceComparison) -> "Table":
    """Returns a table with a row for each space."""
    from rich.table import Table

    table = Table(title=f"Random candidates on {comparison.data}", title_justify="left")
    table.add_column("space")
    for name in ("trained", "failed", "best", "median", "mean error", "median MACs"):
        table.add_column(name, justify="right")
    for each in comparison.samples:
        errors = each.errors
        shown = [f"{f(errors):.2%}" if errors else "" for f in (min, median, _compute_mean)]
        macs = format_amount(round(median(each.macs))) if errors else ""
        table.add_row(each.space, str(len(errors)), str(each.failed or ""), *shown, macs)
    return table


def _compute_mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def explain(comparison: SpaceComparison) -> list[str]:
    """Returns what the figures mean, a line for each space but the first."""
    first = comparison.samples[0].space
    return [_explain_one(each, first) for each in comparison.differences]


def _explain_one(found: SpaceDifference, first: str) -> str:
    mean, wins = found.mean, found.wins
    if mean.high < 0:
        verdict = f"{found.space} is the better space"
    elif mean.low > 0:
        verdict = f"{first} is the better space"
    else:
        verdict = "this sample does not separate the two spaces"
    return (
        f"{found.space} against {first}: mean error {100 * mean.value:+.2f} points "
        f"({100 * mean.low:+.2f} to {100 * mean.high:+.2f}), its random candidate has the lower "
        f"error {wins.value:.0%} of the time ({wins.low:.0%} to {wins.high:.0%}): {verdict}."
    )
