"""A table that follows a search in the terminal."""

import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from cnnsearch.engine.display.callback import Overview, Summary
from cnnsearch.engine.display.lines import Plain
from cnnsearch.engine.display.text import called
from cnnsearch.runs.records import TrialRecord
from cnnsearch.utils.units import format_amount, format_time

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live as RichLive

ROWS = 12
"""Candidates that the live table shows."""


class Live(Plain):
    """A table that follows the search, redrawn in place."""

    def __init__(self, console: "Console") -> None:
        super().__init__(console)
        self._rows: OrderedDict[str, tuple[TrialRecord, int, float | None]] = OrderedDict()
        self._live = self._new()
        self._overview: Overview | None = None
        self._ended = 0
        self._since = time.monotonic()

    def _new(self) -> "RichLive":
        from rich.live import Live as RichLive

        return RichLive(console=self._console, refresh_per_second=4, transient=False)

    def on_search_begin(self, overview: Overview) -> None:
        """A table of its own: a final training follows its random search."""
        super().on_search_begin(overview)
        self._overview, self._since = overview, time.monotonic()
        self._rows.clear()
        self._ended = 0
        self._live = self._new()
        self._live.start()

    def on_trial_begin(self, trial: TrialRecord) -> None:
        self._put(trial, trial.initial_epoch, None)

    def on_epoch_end(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None:
        self._put(trial, epoch, metrics.get(self._metric, metrics.get("accuracy")))

    def on_trial_end(self, trial: TrialRecord) -> None:
        self._ended += 1
        self._best = max(self._best, -math.inf if trial.score is None else trial.score)
        row = self._rows.get(trial.id)
        self._put(trial, row[1] if row else trial.epochs, trial.score)

    def _put(self, trial: TrialRecord, epoch: int, accuracy: float | None) -> None:
        self._rows[trial.id] = (trial, epoch, accuracy)
        while len(self._rows) > ROWS:
            self._rows.popitem(last=False)
        self.on_tick()

    def on_tick(self) -> None:
        if self._live.is_started:
            self._live.update(self._table())

    def on_message(self, text: str) -> None:
        self._live.console.print(text, highlight=False)

    def on_search_end(self, summary: Summary) -> None:
        self.close()
        super().on_search_end(summary)

    def close(self) -> None:
        """Leaves the table as it stands."""
        if self._live.is_started:
            self._live.update(self._table(), refresh=True)
            self._live.stop()

    def _table(self) -> "RenderableType":
        from rich.table import Table

        table = Table(
            caption=self._caption(), caption_justify="left", caption_style="", expand=False
        )
        table.add_column("candidate", justify="right")
        table.add_column("family")
        for name in ("params", "MACs", "epoch", self._measured, "time"):
            table.add_column(name, justify="right")
        for trial, epoch, accuracy in self._rows.values():
            table.add_row(*self._cells(trial, epoch, accuracy))
        return table

    def _cells(self, trial: TrialRecord, epoch: int, accuracy: float | None) -> list[str]:
        running = trial.status == "running"
        shown = "" if accuracy is None else f"{accuracy:.2%}"
        if trial.status == "failed":
            shown = f"[red]{(trial.reason or 'failed').split(':')[0]}[/]"
        elif not running and trial.score is not None and trial.score >= self._best:
            shown = f"[bold green]{shown}[/]"
        seconds = time.time() - trial.started if running else trial.seconds or 0.0
        return [
            trial.id,
            called(trial),
            format_amount(trial.params),
            format_amount(trial.macs),
            f"{epoch}/{trial.epochs}" if running else str(epoch),
            shown,
            format_time(seconds),
        ]

    def _caption(self) -> str:
        overview = self._overview
        done = self._ended + (overview.finished if overview else 0)
        of = f" of {overview.trials}" if overview and overview.trials else ""
        best = f"best {self._best:.2%}" if math.isfinite(self._best) else "best -"
        return f"{done}{of} done · {best} · {self._left()}"

    def _left(self) -> str:
        passed = time.monotonic() - self._since
        overview = self._overview
        limits = [max(0.0, overview.seconds - passed)] if overview and overview.seconds else []
        if overview and overview.trials and self._ended:
            todo = max(0, overview.trials - overview.finished - self._ended)
            limits.append(todo * passed / self._ended)
        left = f"about {format_time(min(limits))} left" if limits else "time left unknown yet"
        return f"{format_time(passed)} so far, {left}"
