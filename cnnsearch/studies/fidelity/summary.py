"""A fidelity study in the terminal: its progress, its table, and what the numbers mean."""

import sys
import time
from typing import TYPE_CHECKING, TextIO

from cnnsearch.engine.display import Quiet
from cnnsearch.engine.display.callback import Overview
from cnnsearch.runs.records import TrialRecord, shorten_family
from cnnsearch.studies.fidelity.plan import TRAINED
from cnnsearch.studies.fidelity.results import WANTED, Comparison, FidelityReport
from cnnsearch.studies.fidelity.statistics import Interval, Noise
from cnnsearch.utils.units import format_amount, format_time, pluralize

if TYPE_CHECKING:
    from rich.table import Table

CAPTION = (
    "better half: Spearman among the better half by long scores; regret: points between the best "
    "long score and that of the best short one, trained long; top: how many of the best fifth by "
    "long scores are in the best fifth by short ones; rank: of the best long one by short scores"
)


class ProgressLines(Quiet):
    """Prints a line for each finished training, with the estimated time left."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._total, self._before, self._done = 0, 0, 0
        self._since = time.monotonic()

    def on_search_begin(self, overview: Overview) -> None:
        self._total, self._before = overview.trials or 0, overview.finished
        self._since = time.monotonic()
        self.on_message(overview.title)
        if self._before:
            self.on_message(f"Resumed after {pluralize(self._before, 'finished training')}.")

    def on_trial_end(self, trial: TrialRecord) -> None:
        self._done += 1
        number = self._before + self._done
        what = f"{trial.values.get(TRAINED, ''):<12}  {format_amount(trial.macs):>6} MACs"
        score = f"val {trial.score:6.2%}" if trial.score is not None else f"failed: {trial.reason}"
        took = format_time(trial.seconds or 0.0)
        left = (time.monotonic() - self._since) / self._done * (self._total - number)
        family = shorten_family(trial.family)
        line = f"{number:>3}/{self._total}  {trial.id:<14}  {what}  {family:<18}  {score}"
        self.on_message(f"{line}  {took:>8}  about {format_time(left)} left")

    def on_message(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


def make_table(report: FidelityReport) -> "Table":
    """Returns a table with a row for each kind of short training, in the requested order."""
    from rich.table import Table

    title = f"Short trainings against {pluralize(report.epochs, 'epoch')} ({report.run.name})"
    table = Table(title=title, title_justify="left", caption=CAPTION, caption_justify="left")
    table.add_column("short")
    numbers = ("Spearman (95 %)", "Kendall (95 %)", "better half")
    for name in (*numbers, "regret", "top", "rank", "time", "speed"):
        table.add_column(name, justify="right")
    for one in report.comparisons:
        table.add_row(
            one.label,
            _format_interval(one.spearman),
            _format_interval(one.kendall),
            f"{one.upper:.2f}",
            f"{100 * one.regret:.1f}",
            f"{one.overlap}/{one.top}",
            str(one.needed),
            format_time(one.seconds),
            f"{one.speedup:.1f}x",
        )
    return table


def _format_interval(found: Interval) -> str:
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def explain_report(report: FidelityReport) -> list[str]:
    """Explains in sentences what the numbers mean for a search."""
    best = report.best
    lines = [_explain_trust(best), _explain_regret(best, report), _explain_macs(best, report)]
    if report.noise is not None:
        lines.append(_explain_noise(report.noise))
    if report.failed:
        lines.append(f"{pluralize(report.failed, 'candidate')} failed and could not be compared.")
    return lines


def _explain_trust(one: Comparison) -> str:
    found, low = one.spearman.value, one.spearman.low
    start = f"{one.label}: Spearman {found:.2f} over {one.pairs} candidates"
    if low >= WANTED:
        return f"{start}, above {WANTED} with its whole interval: short trials can be trusted here."
    if one.trusted:
        return (
            f"{start}, at least {WANTED}, but the interval reaches down to {low:.2f}: "
            "short trials can be trusted here; more --candidates would narrow the interval."
        )
    return (
        f"{start}, below {WANTED}: do not trust short trials to rank these candidates; "
        "try a longer --short, or a --lever such as ema=0.9."
    )


def _explain_regret(one: Comparison, report: FidelityReport) -> str:
    regret, random = 100 * one.regret, 100 * one.random_regret
    if one.needed == 1:
        rank = "it is the best long one too"
    else:
        rank = f"the best long one is the {format_ordinal(one.needed)} by short trials"
    return (
        f"Trained long, the best by short trials is {regret:.1f} points below the best long one "
        f"(one drawn at random {random:.1f}); {rank}. A short trial takes "
        f"{format_time(one.seconds)}, a long one {format_time(report.seconds)}, on {report.device}."
    )


def _explain_macs(one: Comparison, report: FidelityReport) -> str:
    line = f"MACs alone, without any training, rank with Spearman {report.by_macs:.2f}"
    if report.by_macs < one.spearman.value:
        return f"{line}."
    return f"{line}: short trials add nothing to that here."


def format_ordinal(number: int) -> str:
    """Returns ``1st``, ``2nd``, ``3rd``, ``4th``, ``11th``."""
    teen = 10 < number % 100 < 20
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _explain_noise(found: Noise) -> str:
    return (
        f"Two long trainings of a candidate differ by {100 * found.deviation * 2**0.5:.1f} points "
        f"(root mean square over {found.pairs}); no training can be expected to correlate with "
        f"them by more than about {found.ceiling:.2f}."
    )
