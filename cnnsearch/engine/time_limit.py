"""Rejects candidates that would clearly train for too long, by the predictions of a search."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from cnnsearch.engine.candidate_sample import CandidateSample
from cnnsearch.engine.settings import Settings
from cnnsearch.engine.training_time import TimePredictor
from cnnsearch.oracles import find_strategy
from cnnsearch.oracles.protocol import CheckFeasibility, Feasibility
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.units import format_time

FEWEST_TO_REJECT: Final = 4
"""Trained candidates from which on a prediction can reject a candidate."""
CLEARLY: Final = 1.25
"""A candidate is rejected whose prediction exceeds the limit by this factor."""
SHARE: Final = 0.1
"""Of a search's time, that a candidate may train unless a limit is given."""


class TimeLimit:
    """The longest that a candidate may train.

    It allows no candidate whose prediction is more than ``CLEARLY`` times that, once candidates
    were timed ahead of the search or ``needed`` have been trained.

    Args:
        predictor: of the search.
        epochs: of a candidate.
        seconds: that it may train.

    Attributes:
        needed: trained candidates without which a prediction is not relied on.
    """

    needed = FEWEST_TO_REJECT

    def __init__(self, predictor: TimePredictor, epochs: int, seconds: float) -> None:
        self.predictor, self.epochs, self.seconds = predictor, epochs, seconds

    def allows(self, candidate: Candidate) -> bool:
        """Returns whether a candidate may be proposed."""
        if not self.predictor.is_measured and self.predictor.trained < self.needed:
            return True
        seconds = self.predictor.predict(candidate, self.epochs)
        return seconds is None or seconds <= CLEARLY * self.find_seconds()

    def find_seconds(self) -> float:
        """Returns what a candidate may train, as it is known by now."""
        return self.seconds


class ShareLimit(TimeLimit):
    """A share of the search's time, unless most of the space trains for longer.

    A strategy that learns from scores needs some. However short the time, what trains no longer
    than the plain baseline stays allowed, and so does the fastest quarter of random candidates;
    which that is, a single training tells well enough: it is a matter of ratios.

    Args:
        predictor: of the search.
        epochs: of a candidate.
        seconds: that it may train.
        sample: of the space, within the budget.
    """

    needed = 1

    def __init__(
        self, predictor: TimePredictor, epochs: int, seconds: float, sample: CandidateSample
    ) -> None:
        super().__init__(predictor, epochs, seconds)
        self._sample = sample
        self._trained, self._quarter = -1, 0.0

    def find_seconds(self) -> float:
        """Returns the share, or what the baseline or the quarter of the sample trains."""
        if self._trained != self.predictor.trained:  # it predicts otherwise than before
            self._trained, self._quarter = self.predictor.trained, self._find_quarter()
        return max(self.seconds, self.predictor.baseline, self._quarter)

    def describe(self) -> str:
        """Returns what it does, in one line."""
        return (
            "Leaves out candidates that would train for clearly longer than "
            f"{format_time(self.seconds)}, a tenth of the time, and than the plain baseline "
            "(--max-train-time sets another limit)."
        )

    def _find_quarter(self) -> float:
        found = (self.predictor.predict(each, self.epochs) for each in self._sample.candidates)
        seconds = sorted(each for each in found if each is not None)
        return seconds[len(seconds) // 4] if seconds else math.inf


@dataclass(frozen=True)
class TimeCheck:
    """A feasibility check that also rejects what would train for too long.

    Attributes:
        check: of everything else.
        space: decodes values.
        limit: on the training of a candidate.
    """

    check: CheckFeasibility
    space: SearchSpace
    limit: TimeLimit

    def __call__(self, values: Mapping[str, Any]) -> Feasibility:
        """Returns the feasibility of one candidate."""
        found = self.check(values)
        if not found.is_feasible or self.limit.allows(self.space.decode(values)):
            return found
        return replace(found, is_feasible=False, reason="time")


def make_time_limit(
    settings: Settings, predictor: TimePredictor, epochs: int, sample: CandidateSample
) -> TimeLimit | None:
    """Returns the limit on a candidate's training that a search has; None: it has none.

    Without ``--max-train-time`` it is a share of ``--max-time``, for strategies that scores guide
    alone: others need not learn from many candidates, and random draws stay random draws.
    """
    search = settings.search
    if search.max_train_time is not None:
        return TimeLimit(predictor, epochs, search.max_train_time)
    if search.max_time is None or not find_strategy(search.strategy).is_guided:
        return None
    return ShareLimit(predictor, epochs, SHARE * search.max_time, sample)
