"""Which failed trials are retried, and how."""

from dataclasses import dataclass, replace

from cnnsearch.runs.database import RunDatabase
from cnnsearch.training.messages import Failed, TrialTask

MAX_DEATHS = 3
"""A trial that crashes so many times without a new epoch in between has failed."""

RETRIED = "trial_retried"
"""The journal's event for a retry: attempt, accumulate, deaths, reason."""


@dataclass(frozen=True)
class Attempt:
    """One run of a trial.

    Attributes:
        number: counted from 1.
        accumulate: micro-batches per step, whose gradients are averaged.
        deaths: crashes since the last new epoch.
    """

    number: int = 1
    accumulate: int = 1
    deaths: int = 0

    def to_data(self) -> dict[str, int]:
        """Returns what the journal keeps."""
        return {"attempt": self.number, "accumulate": self.accumulate, "deaths": self.deaths}

    @property
    def description(self) -> str:
        """What is done, in a sentence."""
        part = f" with 1/{self.accumulate} of a batch at a time" if self.accumulate > 1 else ""
        return f"It resumes from its last epoch{part} (attempt {self.number})."


class Retries:
    """The attempts at each trial, those of earlier sessions included.

    Out of memory is retried once with micro-batches of half the size; a crash as long as there are
    new epochs between crashes. A NaN loss and a timeout are results, not retried.

    Args:
        db: the run's database.
    """

    def __init__(self, db: RunDatabase) -> None:
        self._latest = {
            str(event.trial_id): Attempt(*(event.data[k] for k in Attempt().to_data()))
            for event in db.get_events_of(RETRIED)
        }

    def find(self, trial_id: str) -> Attempt:
        """Returns a trial's latest attempt."""
        return self._latest.get(trial_id, Attempt())

    def reset_deaths(self, trial_id: str) -> None:
        """Notes that a trial has trained a new epoch."""
        self._latest[trial_id] = replace(self.find(trial_id), deaths=0)

    def plan(self, task: TrialTask, failed: Failed, batch: int) -> Attempt | None:
        """Returns how a failed trial is retried; None: it is not.

        Args:
            task: that failed.
            failed: how.
            batch: examples per training step.
        """
        last = self.find(task.trial_id)
        number, deaths = last.number + 1, last.deaths + 1
        if failed.kind == "out_of_memory" and last.accumulate == 1 and batch > 1:
            attempt = Attempt(number, accumulate=2, deaths=last.deaths)
        elif failed.kind == "crash" and deaths < MAX_DEATHS:
            attempt = Attempt(number, last.accumulate, deaths)
        else:
            return None
        self._latest[task.trial_id] = attempt
        return attempt
