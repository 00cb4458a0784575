"""What a session of a search has to do, and the forecast of how long that takes."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cnnsearch.data import Dataset
from cnnsearch.engine.candidate_sample import CandidateSample
from cnnsearch.engine.executors import Executor
from cnnsearch.engine.forecast import ForecastCallback, Plan
from cnnsearch.engine.rehearsal import rehearse
from cnnsearch.engine.search_oracle import count_epochs
from cnnsearch.engine.session import RunSession
from cnnsearch.engine.settings import Settings
from cnnsearch.engine.time_limit import make_time_limit
from cnnsearch.engine.time_measurement import TimeMeasurement
from cnnsearch.engine.training_time import TimePredictor
from cnnsearch.oracles import find_strategy
from cnnsearch.space.search_space import SearchSpace

if TYPE_CHECKING:
    from cnnsearch.oracles.search_oracle import SearchOracle


def make_plan(
    settings: Settings,
    space: SearchSpace,
    predictor: TimePredictor,
    deadline: float | None,
    executor: Executor,
) -> Plan:
    """Returns what the session has to do, and what a candidate of it may take."""
    sample = CandidateSample(space, settings.search.budget)
    epochs = count_epochs(settings, space)
    limit = make_time_limit(settings, predictor, epochs, sample)
    return Plan(sample, epochs, settings.search.trials, deadline, executor.free, limit)


def add_forecast(
    session: RunSession,
    space: SearchSpace,
    dataset: Dataset,
    predictor: TimePredictor,
    plan: Plan,
    executor: Executor,
    create_oracle: "Callable[[], SearchOracle]",
) -> None:
    """Lets the display say how many candidates fit into the time, once that can be predicted.

    Args:
        session: whose display it is.
        space: that fits the data.
        dataset: that candidates are trained on.
        predictor: of their time.
        plan: what is left.
        executor: that trains them; all its slots are free.
        create_oracle: returns a copy of the search's, whose store saves nothing.
    """
    settings, trials = session.settings, session.run.db.get_trials()
    is_measured = predictor.is_measured
    if settings.search.max_time and predictor.needs_measurement and settings.placement.ray is None:
        measurement = TimeMeasurement(
            session.run, executor, session.plan_trials(space, dataset), plan.epochs
        )
        why = measurement.measure_within(settings.search.max_time, lambda: plan.sample.candidates)
        is_measured = not why
        if why:
            session.callback.on_message(why)
    if find_strategy(settings.search.strategy).is_guided:
        plan = replace(plan, rehearse=lambda: rehearse(create_oracle(), space))
    callback: Any = ForecastCallback(session.callback, plan, predictor.predict, trials, is_measured)
    session.callback = callback
