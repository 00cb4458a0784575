"""Says how many candidates fit into the time, and what an epoch takes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, Final

from cnnsearch.engine.candidate_sample import CandidateSample
from cnnsearch.engine.display.callback import Pace, SearchCallback
from cnnsearch.engine.display.lines import Quiet
from cnnsearch.engine.time_limit import TimeLimit
from cnnsearch.runs.records import BASELINE, TrialRecord
from cnnsearch.space.candidate import Candidate
from cnnsearch.utils.units import format_time, pluralize

FEWEST: Final = 2
"""Trained candidates that a forecast needs where none was timed ahead."""
PRIOR_WEIGHT: Final = 3
"""Weight of the mean predicted time, as a number of trained candidates."""
MOST_REHEARSED: Final = 5
"""Trained candidates after which the strategy's proposals are not simulated again."""
CHANGED: Final = 0.25
"""By which share another expectation is said again, after the first candidates."""
Predict = Callable[[Candidate, int], float | None]


@dataclass(frozen=True)
class Plan:
    """What is left of a search.

    Attributes:
        sample: of the space, within the budget.
        epochs: of each candidate.
        trials: candidates requested; None: no limit.
        deadline: on the monotonic clock; None: there is none.
        workers: candidates trained in parallel.
        limit: on the training of a candidate; None: there is none.
        rehearse: returns candidates that a strategy guided by scores would propose; None: it
            proposes random ones.
    """

    sample: CandidateSample
    epochs: int
    trials: int | None
    deadline: float | None
    workers: int
    limit: TimeLimit | None = None
    rehearse: Callable[[], Sequence[Candidate]] | None = None

    def predict_sample(self, predict: Predict) -> list[float]:
        """Returns the predicted seconds of random candidates that may be proposed."""
        allowed = self.limit.allows if self.limit is not None else None
        return self.predict_all(predict, list(filter(allowed, self.sample.candidates)))

    def predict_all(self, predict: Predict, candidates: Sequence[Candidate]) -> list[float]:
        """Returns the predicted seconds of those candidates that can be predicted."""
        found = (predict(each, self.epochs) for each in candidates)
        return [seconds for seconds in found if seconds is not None]


def describe_forecast(
    plan: Plan, predict: Predict, mean_seconds: float, done: int, now: float, title: str
) -> str:
    """Returns the forecast in one line; empty where nothing can be predicted.

    Args:
        plan: what is left.
        predict: the seconds of a candidate and a number of epochs.
        mean_seconds: of the candidates to come.
        done: candidates that have ended.
        now: on the monotonic clock.
        title: that it begins with.
    """
    seconds = sorted(plan.predict_sample(predict))
    if not seconds:
        return ""
    low, middle, high = (seconds[n] / plan.epochs for n in (0, len(seconds) // 2, -1))
    epoch = (
        f"{title}: an epoch takes about {format_time(low)} for the smallest candidate, "
        f"{format_time(middle)} for the median, {format_time(high)} for the largest"
    )
    each = mean_seconds / max(1, plan.workers)
    if plan.deadline is None:
        left = max(0, (plan.trials or 0) - done)
        return f"{epoch}; {left} more take about {format_time(left * each)}."
    number = done + int(max(0.0, plan.deadline - now) / each)
    wanted = pluralize(plan.trials, "candidate") if plan.trials else ""
    shown = f"all {wanted} fit" if plan.trials and number >= plan.trials else ""
    of = f" of {wanted}" if wanted else " candidates"
    return f"{epoch}; {shown or f'about {number}{of} fit'} into the time."


class ForecastCallback:
    """Passes a search's events on, with a forecast as soon as there is something to base it on.

    That is at once if candidates were measured ahead, and again after the first candidates if they
    took clearly more or less; otherwise once as many trials as it needs have ended.

    Args:
        callback: receives the events.
        plan: what is left of the search.
        predict: the seconds of a candidate and a number of epochs.
        trials: of the run so far.
        is_measured: whether candidates were measured ahead.
    """

    def __init__(
        self,
        callback: SearchCallback,
        plan: Plan,
        predict: Predict,
        trials: Sequence[TrialRecord],
        is_measured: bool = False,
    ) -> None:
        self._callback, self._plan, self._predict = callback, plan, predict
        self._needed = 0 if is_measured else FEWEST
        self._done, self._completed = 0, 0
        self._said: float | None = None
        self._is_open = True
        self._trained: list[float] = []
        self._rehearsed: Sequence[Candidate] = ()
        for trial in trials:
            if trial.ended is not None:
                self._count(trial)
        self._forecast()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._callback, name)

    def on_trial_end(self, trial: TrialRecord) -> None:
        """Passes it on; a forecast may follow."""
        self._callback.on_trial_end(trial)
        self._count(trial)
        self._forecast()

    def _count(self, trial: TrialRecord) -> None:
        self._done += 1
        self._completed += trial.status == "completed"
        if trial.status == "completed" and trial.role != BASELINE:
            self._trained.append(trial.seconds or 0.0)

    def _forecast(self) -> None:
        """Updates the display's pace, and says the forecast where it is new."""
        seconds = self._expect()
        if isinstance(self._callback, Quiet):
            self._callback.on_pace(Pace(seconds, self._plan.deadline))
        if seconds is None or not self._is_open:
            return
        self._is_open = self._completed < FEWEST
        if self._said is None:
            self._say(seconds, "Forecast")
        elif not self._is_open and abs(seconds / self._said - 1) > CHANGED:
            self._say(seconds, "Forecast after the first candidates")

    def _expect(self) -> float | None:
        """Returns the mean seconds of the candidates to come; None: not known, or there are none.

        The more candidates the strategy has chosen, the more theirs count.
        """
        if self._completed < self._needed or self._completed == self._plan.trials:
            return None
        known = self._predict_to_come()
        if not known:
            return None
        weight = PRIOR_WEIGHT + len(self._trained)
        return (PRIOR_WEIGHT * mean(known) + sum(self._trained)) / weight

    def _predict_to_come(self) -> list[float]:
        plan = self._plan
        if plan.rehearse is None:
            return plan.predict_sample(self._predict)
        if self._completed <= MOST_REHEARSED or not self._rehearsed:
            self._rehearsed = plan.rehearse()
        return plan.predict_all(self._predict, self._rehearsed)

    def _say(self, seconds: float, title: str) -> None:
        self._said = seconds
        now = time.monotonic()
        text = describe_forecast(self._plan, self._predict, seconds, self._done, now, title)
        if text:
            self._callback.on_message(text)
