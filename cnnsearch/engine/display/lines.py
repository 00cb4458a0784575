"""Displays without a terminal: nothing at all, JSON for programs, a line a candidate for logs."""

import json
import math
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from cnnsearch.engine.display.callback import Overview, Summary
from cnnsearch.engine.display.text import closing, headline, trial_data, trial_line
from cnnsearch.runs.records import TrialRecord

if TYPE_CHECKING:
    from rich.console import Console


class Quiet:
    """Shows nothing."""

    def on_search_begin(self, overview: Overview) -> None: ...
    def on_trial_begin(self, trial: TrialRecord) -> None: ...
    def on_epoch_end(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None: ...
    def on_trial_end(self, trial: TrialRecord) -> None: ...
    def on_tick(self) -> None: ...
    def on_message(self, text: str) -> None: ...
    def on_search_end(self, summary: Summary) -> None: ...
    def close(self) -> None: ...


class JsonLines(Quiet):
    """One JSON object a line for each event: what another program reads."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def _say(self, kind: str, **data: Any) -> None:
        print(json.dumps({"event": kind, **data}), file=self._stream, flush=True)

    def on_search_begin(self, overview: Overview) -> None:
        self._say("begin", **asdict(overview))

    def on_trial_begin(self, trial: TrialRecord) -> None:
        self._say("started", **trial_data(trial))

    def on_epoch_end(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None:
        self._say("epoch", id=trial.id, epoch=epoch, **metrics)

    def on_trial_end(self, trial: TrialRecord) -> None:
        self._say("ended", **trial_data(trial))

    def on_message(self, text: str) -> None:
        self._say("note", text=text)

    def on_search_end(self, summary: Summary) -> None:
        best = trial_data(summary.best) if summary.best else None
        self._say("end", **{**vars(summary), "draws": asdict(summary.draws), "best": best})


class Plain(Quiet):
    """One line a finished candidate: for logs and pipes."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._trials: int | None = None
        self._best, self._measured, self._metric = -math.inf, "", ""

    def on_search_begin(self, overview: Overview) -> None:
        self._measured, self._metric = overview.measured, overview.metric
        self._trials = overview.trials
        self._best = -math.inf if overview.best is None else overview.best
        self._console.print(headline(overview))

    def on_trial_end(self, trial: TrialRecord) -> None:
        self._best = max(self._best, -math.inf if trial.score is None else trial.score)
        line = trial_line(trial, self._trials, self._best, self._measured)
        self._console.print(line, highlight=False)

    def on_message(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def on_search_end(self, summary: Summary) -> None:
        self._console.print(closing(summary), highlight=False)
