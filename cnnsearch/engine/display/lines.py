"""Displays without a terminal: nothing, JSON for programs, a line per candidate for logs."""

import json
import math
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from cnnsearch.engine.display.callback import Overview, Pace, Summary
from cnnsearch.engine.display.text import (
    describe_trial,
    write_closing,
    write_headline,
    write_trial_line,
)
from cnnsearch.runs.records import TrialRecord

if TYPE_CHECKING:
    from rich.console import Console


class Quiet:
    """Shows nothing; the base of the other displays."""

    def on_search_begin(self, overview: Overview) -> None: ...
    def on_trial_begin(self, trial: TrialRecord) -> None: ...
    def on_epoch_end(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None: ...
    def on_trial_end(self, trial: TrialRecord) -> None: ...
    def on_tick(self) -> None: ...
    def on_pace(self, pace: Pace) -> None: ...
    def on_message(self, text: str) -> None: ...
    def on_search_end(self, summary: Summary) -> None: ...
    def close(self) -> None: ...


class JsonLines(Quiet):
    """Prints each event as one line of JSON, for other programs."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def _print(self, kind: str, **data: Any) -> None:
        print(json.dumps({"event": kind, **data}), file=self._stream, flush=True)

    def on_search_begin(self, overview: Overview) -> None:
        self._print("begin", **asdict(overview))

    def on_trial_begin(self, trial: TrialRecord) -> None:
        self._print("started", **describe_trial(trial))

    def on_epoch_end(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None:
        self._print("epoch", id=trial.id, epoch=epoch, **metrics)

    def on_trial_end(self, trial: TrialRecord) -> None:
        self._print("ended", **describe_trial(trial))

    def on_message(self, text: str) -> None:
        self._print("note", text=text)

    def on_search_end(self, summary: Summary) -> None:
        best = describe_trial(summary.best) if summary.best else None
        gain = asdict(summary.gain) if summary.gain else None
        recommended = summary.recommended.id if summary.recommended else None
        made = {"draws": asdict(summary.draws), "best": best, "gain": gain}
        self._print("end", **{**vars(summary), **made, "recommended": recommended})


class Plain(Quiet):
    """Prints a line per finished trial, for logs and pipes."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._overview: Overview | None = None
        self._best = -math.inf
        self._ended = 0

    def on_search_begin(self, overview: Overview) -> None:
        self._overview, self._ended = overview, overview.finished
        self._best = -math.inf if overview.best is None else overview.best
        self._console.print(write_headline(overview))

    def on_trial_end(self, trial: TrialRecord) -> None:
        self._count(trial)
        overview = self._overview
        if overview is None:
            return
        line = write_trial_line(
            trial,
            self._find_place(trial),
            self._best if overview.is_search else None,
            overview.measured,
            overview.multi_fidelity,
        )
        self._console.print(line, highlight=False)

    def _count(self, trial: TrialRecord) -> None:
        self._ended += trial.continues is None
        self._best = max(self._best, -math.inf if trial.score is None else trial.score)

    def _find_place(self, trial: TrialRecord) -> str:
        """Returns a trial's number among the candidates; more than wanted replace failed ones."""
        if trial.continues is not None:
            return ""
        overview = self._overview
        number = self._ended
        wanted = overview.trials if overview else None
        return f"{number}/{wanted}" if wanted and number <= wanted else f"{number}"

    def on_message(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def on_search_end(self, summary: Summary) -> None:
        self._console.print(write_closing(summary), highlight=False)
