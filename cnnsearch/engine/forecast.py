"""Says after the first candidates how many more fit into the time, and what an epoch takes."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import mean
from typing import Any, Final

from cnnsearch.architecture.cost import Budget, try_count
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.training_time import FEWEST
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.units import format_time, pluralize

SAMPLES: Final = 40
"""Random candidates within the budget whose times are predicted."""
MOST_DRAWN: Final = 400
Predict = Callable[[Candidate, int], float | None]


@dataclass(frozen=True)
class Plan:
    """What is left of a search.

    Attributes:
        space: that candidates are drawn from.
        budget: limits them.
        epochs: of each.
        trials: candidates requested; None: no limit.
        deadline: on the monotonic clock; None: there is none.
        workers: candidates trained in parallel.
    """

    space: SearchSpace
    budget: Budget
    epochs: int
    trials: int | None
    deadline: float | None
    workers: int


def describe_forecast(plan: Plan, predict: Predict, done: int, now: float) -> str:
    """Returns the forecast in one line; empty where nothing can be predicted.

    Args:
        plan: what is left.
        predict: the seconds of a candidate and a number of epochs.
        done: candidates that have ended.
        now: on the monotonic clock.
    """
    seconds = sorted(_predict_sample(plan, predict))
    if not seconds:
        return ""
    low, middle, high = (seconds[n] / plan.epochs for n in (0, len(seconds) // 2, -1))
    epoch = (
        f"Forecast: an epoch takes about {format_time(low)} for the smallest candidate, "
        f"{format_time(middle)} for the median, {format_time(high)} for the largest"
    )
    each = mean(seconds) / max(1, plan.workers)
    if plan.deadline is None:
        left = max(0, (plan.trials or 0) - done)
        return f"{epoch}; {left} more take about {format_time(left * each)}."
    number = done + int(max(0.0, plan.deadline - now) / each)
    wanted = pluralize(plan.trials, "candidate") if plan.trials else ""
    shown = f"all {wanted} fit" if plan.trials and number >= plan.trials else ""
    of = f" of {wanted}" if wanted else " candidates"
    return f"{epoch}; {shown or f'about {number}{of} fit'} into the time."


def _predict_sample(plan: Plan, predict: Predict) -> Iterator[float]:
    """Yields the predicted seconds of random candidates within the budget."""
    rng, found = random.Random(0), 0
    for _ in range(MOST_DRAWN):
        candidate = plan.space.decode(plan.space.sample(rng))
        cost, _ = try_count(candidate.architecture)
        if isinstance(cost, Exception) or not plan.budget.allows(cost):
            continue
        seconds = predict(candidate, plan.epochs)
        if seconds is None:
            return
        yield seconds
        found += 1
        if found == SAMPLES:
            return


class ForecastCallback:
    """Passes a search's events on, with a forecast once as many trials as it needs have ended."""

    def __init__(self, callback: SearchCallback, plan: Plan, predict: Predict, done: int) -> None:
        self._callback, self._plan, self._predict = callback, plan, predict
        self._done, self._completed, self._is_open = done, 0, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._callback, name)

    def on_trial_end(self, trial: TrialRecord) -> None:
        """Passes it on; a forecast may follow."""
        self._callback.on_trial_end(trial)
        self._done += 1
        self._completed += trial.status == "completed"
        if self._is_open and self._completed >= FEWEST:
            self._is_open = False
            text = describe_forecast(self._plan, self._predict, self._done, time.monotonic())
            if text:
                self._callback.on_message(text)
