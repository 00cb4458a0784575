"""The callback through which a search reports to a terminal, a log or a program."""

from dataclasses import dataclass
from typing import Protocol

from cnnsearch.engine.gain import Gain
from cnnsearch.oracles.protocol import Draws
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.objectives import OBJECTIVES


@dataclass(frozen=True)
class Overview:
    """What is about to be searched or trained.

    Attributes:
        images: number in the training split.
        trials: requested number of candidates; None: no limit.
        epochs: largest number of a candidate.
        budget: the limits in words; empty: none.
        finished: candidates that earlier sessions of the run have finished, promotions apart.
        best: best score among them; None: none.
        seconds: time limit; None: none.
        device: that trains.
        workers: candidates trained in parallel.
        title: headline of what is not a search.
        measured: heading of the column of scores.
        metric: key of the score among the metrics of an epoch.
        multi_fidelity: whether candidates are promoted from rung to rung (Hyperband).
        held_out: numbers of validation and test images.
        input: height, width and channels of the images that candidates read.
    """

    run: str
    space: str
    data: str
    images: int
    classes: int
    strategy: str
    trials: int | None
    epochs: int
    budget: str
    finished: int
    best: float | None
    seconds: float | None
    device: str
    workers: int
    title: str = ""
    measured: str = OBJECTIVES[0].heading
    metric: str = OBJECTIVES[0].metric
    multi_fidelity: bool = False
    held_out: tuple[int, int] = (0, 0)
    input: tuple[int, ...] = ()

    @property
    def is_search(self) -> bool:
        """Whether trials compete for the best score; those of a study do not."""
        return not self.title


@dataclass(frozen=True)
class Pace:
    """What is known of the time that the rest of a search takes.

    Attributes:
        seconds: that a candidate to come trains, on average; None: not known yet.
        deadline: on the monotonic clock; None: there is none.
    """

    seconds: float | None
    deadline: float | None


@dataclass(frozen=True)
class Summary:
    """How a search ended.

    Attributes:
        reason: why it ended: trials, exhausted, schedule, time or interrupted.
        best: the best candidate; None: none was finished.
        completed: candidates with a score.
        failed: candidates that ended without one.
        too_slow: candidates that were not trained, their measured latency being over the limit.
        draws: what was drawn and why it was not trained.
        seconds: of this session.
        measured: the score in words.
        promotions: to a higher rung that were trained to their end (Hyperband).
        front: the Pareto front in words; empty: the search has one objective.
        recommended: the candidate that the strategy prefers to the best; None: there is none.
        gain: of the best candidate over the plain baseline; None: there is none to compare.
        final_seconds: that a final training of the best candidate takes; None: not known.
    """

    run: str
    reason: str
    best: TrialRecord | None
    completed: int
    failed: int
    draws: Draws
    seconds: float
    path: str
    measured: str = OBJECTIVES[0].title
    promotions: int = 0
    front: str = ""
    gain: Gain | None = None
    recommended: TrialRecord | None = None
    final_seconds: float | None = None
    too_slow: int = 0


class SearchCallback(Protocol):
    """Receives the events of a search, in the driver's thread; must return quickly."""

    def on_search_begin(self, overview: Overview) -> None:
        """Called when a session begins."""

    def on_trial_begin(self, trial: TrialRecord) -> None:
        """Called when a trial starts or resumes."""

    def on_epoch_end(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None:
        """Called after each epoch, counted from 1."""

    def on_trial_end(self, trial: TrialRecord) -> None:
        """Called when a trial has completed or failed."""

    def on_tick(self) -> None:
        """Called several times a second."""

    def on_message(self, text: str) -> None:
        """Called with a message for the user."""

    def on_search_end(self, summary: Summary) -> None:
        """Called when a session has ended in good order."""

    def close(self) -> None:
        """Called last, after an error too."""
