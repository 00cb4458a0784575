"""A table that follows a search in the terminal."""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cnnsearch.engine.display.callback import Overview, Pace, Summary
from cnnsearch.engine.display.lines import Plain
from cnnsearch.engine.display.text import name_trial
from cnnsearch.runs.records import TrialRecord
from cnnsearch.utils.units import format_amount, format_time

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live as RichLive

WIDE = 96
"""Columns of a terminal from which on a running candidate's predicted time is shown."""
ROWS = 12
"""Candidates that the live table shows."""


@dataclass
class _Row:
    trial: TrialRecord
    epoch: int
    score: float | None = None
    since: float = field(default_factory=time.monotonic)  # of this session: pauses do not count


class Live(Plain):
    """A table of the latest trials, redrawn in place."""

    def __init__(self, console: "Console") -> None:
        super().__init__(console)
        self._rows: OrderedDict[str, _Row] = OrderedDict()
        self._live = self._make_live()
        self._since = time.monotonic()
        self._pace = Pace(None, None)

    def _make_live(self) -> "RichLive":
        from rich.live import Live as RichLive

        return RichLive(console=self._console, refresh_per_second=4, transient=False)

    def on_search_begin(self, overview: Overview) -> None:
        """Starts a table of its own: a final training follows its random search."""
        super().on_search_begin(overview)
        self._since = time.monotonic()
        self._rows.clear()
        self._pace = Pace(None, None)
        self._live = self._make_live()
        self._live.start()

    def on_pace(self, pace: Pace) -> None:
        self._pace = pace

    def on_trial_begin(self, trial: TrialRecord) -> None:
        self._find_row(trial)
        self.on_tick()

    def on_epoch_end(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None:
        metric = self._overview.metric if self._overview else ""
        row = self._find_row(trial)
        row.epoch, row.score = epoch, metrics.get(metric, metrics.get("accuracy"))
        self.on_tick()

    def on_trial_end(self, trial: TrialRecord) -> None:
        self._count(trial)
        row = self._find_row(trial)
        row.trial, row.score = trial, trial.score
        self.on_tick()

    def _find_row(self, trial: TrialRecord) -> _Row:
        row = self._rows.setdefault(trial.id, _Row(trial, trial.initial_epoch))
        while len(self._rows) > ROWS:
            self._rows.popitem(last=False)
        return row

    def on_tick(self) -> None:
        if self._live.is_started:
            self._live.update(self._make_table())

    def on_message(self, text: str) -> None:
        self._live.console.print(text, highlight=False)

    def on_search_end(self, summary: Summary) -> None:
        self.close()
        super().on_search_end(summary)

    def close(self) -> None:
        """Leaves the table as it stands."""
        if self._live.is_started:
            self._live.update(self._make_table(), refresh=True)
            self._live.stop()

    def _make_table(self) -> "RenderableType":
        from rich.table import Table

        table = Table(
            caption=self._make_caption(), caption_justify="left", caption_style="", expand=False
        )
        overview = self._overview
        if overview and not overview.is_search:
            names = ("training", "network")
        else:
            names = ("trial" if overview and overview.multi_fidelity else "candidate", "family")
        for name in names:
            table.add_column(name)  # the only ones that shrink in a narrow terminal
        measured = overview.measured if overview else ""
        for name in ("params", "MACs", "epoch", measured, "time"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in self._rows.values():
            table.add_row(*self._make_cells(row))
        return table

    def _make_cells(self, row: _Row) -> "list[RenderableType]":
        from rich.text import Text

        trial, running = row.trial, row.trial.status == "running"
        shown = "" if row.score is None else f"{row.score:.2%}"
        if trial.status == "failed":
            reason = "too slow" if trial.is_too_slow else trial.failure or "failed"
            shown = f"[red]{reason}[/]"
        elif not running and trial.score is not None and trial.score >= self._best:
            shown = f"[bold green]{shown}[/]"
        seconds = time.monotonic() - row.since if running else trial.seconds or 0.0
        return [
            trial.id,
            Text(name_trial(trial), no_wrap=True, overflow="ellipsis"),
            format_amount(trial.params),
            format_amount(trial.macs),
            f"{row.epoch}/{trial.epochs}" if running else str(row.epoch),
            shown,
            _describe_time(trial, seconds) if self._is_wide else format_time(seconds),
        ]

    @property
    def _is_wide(self) -> bool:
        """Whether there is room for predicted times beside legible names."""
        return bool(self._console.width >= WIDE)

    def _make_caption(self) -> str:
        wanted = self._overview.trials if self._overview else None
        of = f" of {wanted}" if wanted else ""
        candidates = " candidates" if self._overview and self._overview.multi_fidelity else ""
        best = "best -" if math.isinf(self._best) else f"best {self._best:.2%}"
        shown = [f"{self._ended}{of}{candidates} done", best, self._estimate_left()]
        if self._overview and not self._overview.is_search:
            shown.remove(best)  # a published network may train better than the winner
        return " · ".join(shown)

    def _estimate_left(self) -> str:
        now, overview = time.monotonic(), self._overview
        passed = now - self._since
        limits = [max(0.0, overview.seconds - passed)] if overview and overview.seconds else []
        if self._pace.deadline is not None:  # it counts the start of the search too
            limits = [max(0.0, self._pace.deadline - now)]
        if overview and overview.trials and not overview.multi_fidelity:
            limits += self._estimate_training(overview, overview.trials, now)
        left = f"about {format_time(min(limits))} left" if limits else "time left unknown yet"
        if limits and min(limits) < 1.0:
            left = "ending"
        return f"{format_time(passed)} so far, {left}"

    def _estimate_training(self, overview: Overview, trials: int, now: float) -> list[float]:
        """Returns the seconds until all candidates are trained; empty: not known yet."""
        left, done = max(0, trials - self._ended), self._ended - overview.finished
        each = self._pace.seconds
        if each is None:
            return [left * (now - self._since) / done] if done else []
        running = (row for row in self._rows.values() if row.trial.status == "running")
        begun = sum(min(each, now - row.since) for row in running)
        return [max(0.0, left * each - begun) / max(1, overview.workers)]


def _describe_time(trial: TrialRecord, seconds: float) -> str:
    """Returns the time that a trial has taken, and of a running one what is predicted."""
    predicted = trial.predicted_seconds if trial.status == "running" else None
    return format_time(seconds) + (f" of {format_time(predicted)}" if predicted else "")
