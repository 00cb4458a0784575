"""Says what a study of fidelity found, as a table and in words."""

from typing import TYPE_CHECKING

from cnnsearch.studies.fidelity.results import WANTED, Comparison, FidelityReport
from cnnsearch.studies.fidelity.statistics import Interval, Noise
from cnnsearch.utils.units import many, short_time

if TYPE_CHECKING:
    from rich.table import Table


def table(report: FidelityReport) -> "Table":
    """Returns the comparisons as a table, in the order in which they were asked for."""
    from rich.table import Table

    found = Table(
        title=f"Short trainings against {many(report.epochs, 'epoch')} ({report.run.name})",
        title_justify="left",
    )
    found.add_column("short")
    numbers = ("Spearman (95 %)", "Kendall (95 %)", "better half")
    for name in (*numbers, "regret", "top", "rank", "time", "speed"):
        found.add_column(name, justify="right")
    found.caption = (
        "better half: Spearman among the better half by long ones; regret: points that the best by "
        "short ones lacks, trained long; top: of the best fifth by long ones, how many are so by "
        "short ones; rank: of the best long one, by short ones"
    )
    found.caption_justify = "left"
    for one in report.comparisons:
        found.add_row(
            one.label,
            _interval(one.spearman),
            _interval(one.kendall),
            f"{one.upper:.2f}",
            f"{100 * one.regret:.1f}",
            f"{one.overlap}/{one.top}",
            str(one.needed),
            short_time(one.seconds),
            f"{one.speedup:.1f}x",
        )
    return found


def _interval(found: Interval) -> str:
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def words(report: FidelityReport) -> list[str]:
    """Says in sentences what the numbers mean for a search."""
    best = report.best
    lines = [_verdict(best), _choice(best, report), _size(best, report)]
    if report.noise is not None:
        lines.append(_noise(report.noise))
    if report.failed:
        lines.append(f"{many(report.failed, 'candidate')} failed and could not be compared.")
    return lines


def _verdict(one: Comparison) -> str:
    found, low = one.spearman.value, one.spearman.low
    start = f"{one.label}: Spearman {found:.2f} over {one.pairs} candidates"
    if low >= WANTED:
        return f"{start}, above {WANTED} with its whole interval: short trials can be trusted here."
    if one.trusted:
        return (
            f"{start}, at least {WANTED}, but the interval reaches down to {low:.2f}: "
            "short trials can be trusted here; more --candidates would make it surer."
        )
    return (
        f"{start}, below {WANTED}: do not trust short trials to rank these candidates; "
        "try a longer --short, or a --lever such as ema=0.9."
    )


def _choice(one: Comparison, report: FidelityReport) -> str:
    regret, random = 100 * one.regret, 100 * one.random_regret
    if one.needed == 1:
        among = "it is the best long one too"
    else:
        among = f"the best long one is the {ordinal(one.needed)} by short trials"
    return (
        f"Trained long, the best by short trials is {regret:.1f} points below the best long one "
        f"(one drawn at random {random:.1f}); {among}. A short trial takes "
        f"{short_time(one.seconds)}, a long one {short_time(report.seconds)}, on {report.device}."
    )


def _size(one: Comparison, report: FidelityReport) -> str:
    alone = f"MACs alone, without any training, rank with Spearman {report.by_macs:.2f}"
    if report.by_macs < one.spearman.value:
        return f"{alone}."
    return f"{alone}: short trials tell no more than that here."


def ordinal(number: int) -> str:
    """Returns ``1st``, ``2nd``, ``3rd``, ``4th``, ``11th``."""
    teen = 10 < number % 100 < 20
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _noise(found: Noise) -> str:
    return (
        f"Two long trainings of a candidate differ by {100 * found.deviation * 2**0.5:.1f} points "
        f"(root mean square of {found.pairs}); no correlation above about {found.ceiling:.2f} "
        "can be expected from any trial."
    )
