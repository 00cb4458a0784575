"""Which trial that died is run again, and how."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cnnsearch.runs.database import RunDatabase
from cnnsearch.training.messages import Failed, TrialTask

FRUITLESS = 3
"""A trial that dies so many times without a new epoch in between has failed."""

RETRIED = "trial_retried"
"""The journal's word for a trial that is run again: attempt, accumulate, deaths, reason."""


@dataclass(frozen=True)
class Attempt:
    """One run of a trial.

    Attributes:
        number: counted from 1.
        accumulate: parts in which a batch is trained.
        deaths: since the last new epoch.
    """

    number: int = 1
    accumulate: int = 1
    deaths: int = 0

    def to_data(self) -> dict[str, int]:
        """Returns what the journal keeps."""
        return {
            "attempt": self.number,
            "accumulate": self.accumulate,
            "deaths": self.deaths,
        }

    @property
    def words(self) -> str:
        """What is done, for people."""
        how = "It goes on from its last epoch"
        part = f" with 1/{self.accumulate} of a batch at a time" if self.accumulate > 1 else ""
        return f"{how}{part} (attempt {self.number})."


class Retries:
    """The attempts at each trial, those of earlier sessions included.

    Out of memory is tried once more with half the batch at a time, the gradients added up; a crash
    again and again from the last epoch, as long as there are new epochs; a loss that is no number
    and a time-out are answers about the candidate.

    Args:
        db: the run's.
    """

    def __init__(self, db: RunDatabase) -> None:
        self._of = {str(e.trial_id): _read(e.data) for e in db.get_events_of(RETRIED)}

    def of(self, trial_id: str) -> Attempt:
        """Returns a trial's latest attempt."""
        return self._of.get(trial_id, Attempt())

    def progressed(self, trial_id: str) -> None:
        """Notes that a trial has trained an epoch that it had not come to before."""
        self._of[trial_id] = replace(self.of(trial_id), deaths=0)

    def next(self, task: TrialTask, failed: Failed, batch: int) -> Attempt | None:
        """Returns how a trial that failed is run again; None: it has failed for good.

        Args:
            task: that failed.
            failed: how.
            batch: examples a training step.
        """
        last = self.of(task.trial_id)
        number, deaths = last.number + 1, last.deaths + 1
        if failed.kind == "out_of_memory" and last.accumulate == 1 and batch > 1:
            attempt = Attempt(number, accumulate=2, deaths=last.deaths)
        elif failed.kind == "crash" and deaths < FRUITLESS:
            attempt = Attempt(number, last.accumulate, deaths)
        else:
            return None
        self._of[task.trial_id] = attempt
        return attempt


def _read(data: Mapping[str, Any]) -> Attempt:
    return Attempt(data["attempt"], data["accumulate"], data["deaths"])
