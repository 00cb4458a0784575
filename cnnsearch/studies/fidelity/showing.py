"""What a person sees while a study of fidelity trains: a line for each training."""

import sys
import time
from typing import TextIO

from cnnsearch.engine.display import Quiet
from cnnsearch.engine.display.callback import Overview
from cnnsearch.runs.records import TrialRecord
from cnnsearch.studies.fidelity.plan import TRAINED
from cnnsearch.utils.units import many, short_amount, short_time


class Lines(Quiet):
    """One line a finished training, with the time that is left."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._wanted, self._before, self._done = 0, 0, 0
        self._since = time.monotonic()

    def begin(self, overview: Overview) -> None:
        self._wanted, self._before = overview.trials or 0, overview.finished
        self._since = time.monotonic()
        self._print(
            f"Fidelity of {overview.space} on {overview.data} ({overview.images:,} training "
            f"images): {many(self._wanted, 'training')}, the longest of "
            f"{many(overview.epochs, 'epoch')}, on {overview.device}. Run {overview.run}."
        )
        if self._before:
            self._print(f"Goes on after {many(self._before, 'finished training')}.")

    def ended(self, trial: TrialRecord) -> None:
        self._done += 1
        number = self._before + self._done
        what = f"{trial.values.get(TRAINED, ''):<12}  {short_amount(trial.macs):>6} MACs"
        score = f"val {trial.score:6.2%}" if trial.score is not None else f"failed: {trial.reason}"
        took = short_time(trial.seconds or 0.0)
        left = (time.monotonic() - self._since) / self._done * (self._wanted - number)
        line = f"{number:>3}/{self._wanted}  {trial.id:<14}  {what}  {trial.family:<18}  {score}"
        self._print(f"{line}  {took:>8}  about {short_time(left)} left")

    def note(self, text: str) -> None:
        self._print(text)

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)
