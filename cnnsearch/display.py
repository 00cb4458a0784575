"""What a person, a log file or a program sees of a search."""

import json
import shlex
import sys
import time
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cnnsearch.amounts import many, short_amount, short_time
from cnnsearch.records import TrialRecord
from cnnsearch.watcher import Overview, Summary, Watcher

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

ROWS = 12
"""Candidates that the live table shows."""

WHY = {
    "trials": "all that were asked for are done",
    "exhausted": "every candidate of the space within the budget has been trained",
    "schedule": "the strategy's schedule is complete",
    "time": "the time is up",
    "interrupted": "interrupted",
}


class Quiet:
    """Shows nothing."""

    def begin(self, overview: Overview) -> None: ...
    def started(self, trial: TrialRecord) -> None: ...
    def epoch(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None: ...
    def ended(self, trial: TrialRecord) -> None: ...
    def tick(self) -> None: ...
    def note(self, text: str) -> None: ...
    def end(self, summary: Summary) -> None: ...
    def stop(self) -> None: ...


class JsonLines(Quiet):
    """One JSON object a line for each event: what another program reads."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def _say(self, kind: str, **data: Any) -> None:
        print(json.dumps({"event": kind, **data}), file=self._stream, flush=True)

    def begin(self, overview: Overview) -> None:
        self._say("begin", **asdict(overview))

    def started(self, trial: TrialRecord) -> None:
        self._say("started", **trial_data(trial))

    def epoch(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None:
        self._say("epoch", id=trial.id, epoch=epoch, **metrics)

    def ended(self, trial: TrialRecord) -> None:
        self._say("ended", **trial_data(trial))

    def note(self, text: str) -> None:
        self._say("note", text=text)

    def end(self, summary: Summary) -> None:
        best = trial_data(summary.best) if summary.best else None
        self._say("end", **{**vars(summary), "draws": asdict(summary.draws), "best": best})


def trial_data(trial: TrialRecord) -> dict[str, Any]:
    """Returns a trial as plain data for JSON."""
    return {
        "id": trial.id,
        "status": trial.status,
        "family": trial.family,
        "params": trial.params,
        "macs": trial.macs,
        "flops": 2 * trial.macs if trial.macs is not None else None,
        "epochs": trial.epochs,
        "val_accuracy": trial.score,
        "seconds": trial.seconds,
        "reason": trial.reason,
        "values": dict(trial.values),
    }


class Plain(Quiet):
    """One line a finished candidate: for logs and pipes."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._trials: int | None = None
        self._best = 0.0
        self._measured = "val accuracy"

    def begin(self, overview: Overview) -> None:
        self._measured = overview.measured
        self._trials, self._best = overview.trials, overview.best or 0.0
        self._console.print(headline(overview))

    def ended(self, trial: TrialRecord) -> None:
        self._best = max(self._best, trial.score or 0.0)
        line = trial_line(trial, self._trials, self._best, self._measured)
        self._console.print(line, highlight=False)

    def note(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def end(self, summary: Summary) -> None:
        self._console.print(closing(summary), highlight=False)


def headline(overview: Overview) -> str:
    """Says in one paragraph what is searched."""
    if overview.title:
        return overview.title
    wanted = many(overview.trials, "candidate") if overview.trials else "candidates"
    parts = [
        f"Searching {overview.space} on {overview.data}"
        f" ({overview.images:,} training images, {overview.classes} classes):"
        f" {wanted} by {overview.strategy}, {many(overview.epochs, 'epoch')} each"
    ]
    if overview.budget:
        parts.append(f"within {overview.budget}")
    if overview.seconds:
        parts.append(f"for at most {short_time(overview.seconds)}")
    workers = f"{overview.workers} at a time on " if overview.workers > 1 else ""
    text = ", ".join(parts) + f". Run {overview.run}, {workers}{overview.device}."
    if overview.finished:
        text += f" Goes on after {many(overview.finished, 'finished candidate')}."
    return text


def trial_line(
    trial: TrialRecord, trials: int | None, best: float, measured: str = "val accuracy"
) -> str:
    """Returns one finished candidate as a line of text."""
    of = f"/{trials}" if trials else ""
    cost = f"{short_amount(trial.params)} params  {short_amount(trial.macs)} MACs"
    start = f"{trial.number:>3}{of}  {trial.family:<22}  {cost:<28}"
    if trial.score is None:
        return f"{start}  {trial.status}: {trial.reason}"
    return (
        f"{start}  {measured.split()[0]} {trial.score:6.2%}  best {best:6.2%}  "
        f"{short_time(trial.seconds or 0.0):>6}"
    )


def closing(summary: Summary) -> str:
    """Says how a search ended and what to do next."""
    draws = summary.draws
    trained = f"{many(summary.completed, 'candidate')} trained"
    failed = f", {summary.failed} failed" if summary.failed else ""
    refused = [f"{draws.over_budget:,} over the budget"]
    refused += [f"{draws.invalid:,} could not be wired"] if draws.invalid else []
    refused += [f"{draws.duplicates:,} seen before"] if draws.duplicates else []
    lines = [
        f"Done in {short_time(summary.seconds)}: {WHY.get(summary.reason, summary.reason)}.",
        f"{trained}{failed}; {draws.drawn:,} drawn, {', '.join(refused)}.",
    ]
    if summary.best:
        lines.append(f"Best: {best_line(summary.best, summary.measured)}")
    root = Path(summary.path).parent
    where = "" if root == Path("runs") else f" --runs {shlex.quote(str(root))}"
    if summary.reason in ("interrupted", "time"):
        lines.append(f"Go on with:   cnnsearch resume {summary.run}{where}")
    if summary.best:
        at = f"--run {summary.run}{where}"
        lines += [
            f"Look at it:   cnnsearch results {summary.run}{where}   or   cnnsearch ui{where}",
            f"Judge it:     cnnsearch train best {at}",
            f"Export it:    cnnsearch export best {at} --out exports/best",
        ]
    return "\n".join(lines)


def best_line(best: TrialRecord, measured: str = "val accuracy") -> str:
    """Returns the best candidate in one line."""
    what = measured.replace("val ", "validation ")
    cost = f"{best.params:,} parameters, {best.macs:,} MACs ({2 * (best.macs or 0):,} FLOPs)"
    return f"trial {best.id} ({best.family}), {what} {best.score:.2%}, {cost}"


class Live(Plain):
    """A table that follows the search, redrawn in place."""

    def __init__(self, console: "Console") -> None:
        super().__init__(console)
        from rich.live import Live as RichLive

        self._rows: OrderedDict[str, tuple[TrialRecord, int, float | None]] = OrderedDict()
        self._live = RichLive(console=console, refresh_per_second=4, transient=False)
        self._overview: Overview | None = None
        self._ended = 0
        self._since = time.monotonic()

    def begin(self, overview: Overview) -> None:
        super().begin(overview)
        self._overview, self._since = overview, time.monotonic()
        self._live.start()

    def started(self, trial: TrialRecord) -> None:
        self._put(trial, trial.initial_epoch, None)

    def epoch(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None:
        self._put(trial, epoch, metrics.get("val_accuracy", metrics.get("accuracy")))

    def ended(self, trial: TrialRecord) -> None:
        self._ended += 1
        self._best = max(self._best, trial.score or 0.0)
        row = self._rows.get(trial.id)
        self._put(trial, row[1] if row else trial.epochs, trial.score)

    def _put(self, trial: TrialRecord, epoch: int, accuracy: float | None) -> None:
        self._rows[trial.id] = (trial, epoch, accuracy)
        while len(self._rows) > ROWS:
            self._rows.popitem(last=False)
        self.tick()

    def tick(self) -> None:
        if self._live.is_started:
            self._live.update(self._table())

    def note(self, text: str) -> None:
        self._live.console.print(text, highlight=False)

    def end(self, summary: Summary) -> None:
        self.stop()
        super().end(summary)

    def stop(self) -> None:
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
            trial.family,
            short_amount(trial.params),
            short_amount(trial.macs),
            f"{epoch}/{trial.epochs}" if running else str(epoch),
            shown,
            short_time(seconds),
        ]

    def _caption(self) -> str:
        overview = self._overview
        done = self._ended + (overview.finished if overview else 0)
        of = f" of {overview.trials}" if overview and overview.trials else ""
        best = f"best {self._best:.2%}" if self._best else "best -"
        return f"{done}{of} done · {best} · {self._left()}"

    def _left(self) -> str:
        passed = time.monotonic() - self._since
        overview = self._overview
        limits = [max(0.0, overview.seconds - passed)] if overview and overview.seconds else []
        if overview and overview.trials and self._ended:
            todo = max(0, overview.trials - overview.finished - self._ended)
            limits.append(todo * passed / self._ended)
        left = f"about {short_time(min(limits))} left" if limits else "time left unknown yet"
        return f"{short_time(passed)} so far, {left}"


def choose(mode: str) -> Watcher:
    """Returns the display of a mode: ``auto``, ``live``, ``plain``, ``json`` or ``quiet``."""
    if mode == "quiet":
        return Quiet()
    if mode == "json":
        return JsonLines()
    from rich.console import Console

    console = Console(soft_wrap=mode != "live")
    live = mode == "live" or (mode == "auto" and console.is_terminal)
    return Live(Console()) if live else Plain(console)
