"""What a search tells those who watch it: the terminal, a log, a program."""

from dataclasses import dataclass
from typing import Protocol

from cnnsearch.oracles.protocol import Draws
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.objectives import OBJECTIVES


@dataclass(frozen=True)
class Overview:
    """What is about to be searched.

    Attributes:
        run: name of the run.
        space: name of the space.
        data: the source, as given.
        images: of the training split.
        classes: of the data set.
        strategy: name of the strategy.
        trials: how many candidates are wanted in all; None: no limit.
        epochs: of one candidate, at most.
        budget: the bounds in words, empty if there are none.
        finished: candidates that earlier sessions of the run have finished.
        best: the best validation accuracy among them; None: there is none.
        seconds: the time limit; None: none.
        device: what trains.
        workers: candidates trained side by side.
        title: what to say at the start, where it is no search.
        measured: heading of the column of scores.
        metric: key of the score among the metrics of an epoch.
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


@dataclass(frozen=True)
class Summary:
    """How a search ended.

    Attributes:
        run: name of the run.
        reason: why it ended: trials, exhausted, schedule, time or interrupted.
        best: the best candidate; None: none was finished.
        completed: candidates with a score.
        failed: candidates that ended without one.
        draws: what was drawn and why it was not trained.
        seconds: of this session.
        path: the run's folder.
        measured: the score in words.
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


class SearchCallback(Protocol):
    """Is told what happens, in the driver's thread; must not take long."""

    def on_search_begin(self, overview: Overview) -> None:
        """The search begins, or goes on."""

    def on_trial_begin(self, trial: TrialRecord) -> None:
        """A candidate starts to train."""

    def on_epoch_end(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None:
        """A candidate has finished epoch number ``epoch``, from 1."""

    def on_trial_end(self, trial: TrialRecord) -> None:
        """A candidate has ended, with a score or without."""

    def on_tick(self) -> None:
        """Time has passed."""

    def on_message(self, text: str) -> None:
        """Something worth knowing happened beside the search."""

    def on_search_end(self, summary: Summary) -> None:
        """The search is over."""

    def close(self) -> None:
        """The session is over, well or badly: always the last call."""
