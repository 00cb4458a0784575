"""The session of a search: from its oracle to its best candidate."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cnnsearch.architecture.costs import BOUNDED, choose_columns
from cnnsearch.data import Dataset
from cnnsearch.data.sources import describe_shadowed
from cnnsearch.engine.backbones import explain_features
from cnnsearch.engine.baseline import NO_BASELINE, BaselineFirst, find_baseline, wants_baseline
from cnnsearch.engine.disk_quota import MAX_DISK, DiskQuota
from cnnsearch.engine.display.callback import Overview, SearchCallback, Summary
from cnnsearch.engine.display.text import count_candidates, count_promotions
from cnnsearch.engine.earlier_runs import describe_earlier, restore_earlier
from cnnsearch.engine.executors import Executor
from cnnsearch.engine.first_candidates import choose_first, describe_first
from cnnsearch.engine.forecast import Plan
from cnnsearch.engine.gain import measure_gain
from cnnsearch.engine.latency import make_task
from cnnsearch.engine.latency_model import LatencyModel
from cnnsearch.engine.proposal import IMBALANCED
from cnnsearch.engine.search_oracle import ReadOnlyStore, count_epochs, make_oracle
from cnnsearch.engine.search_plan import add_forecast, make_plan
from cnnsearch.engine.session import RunSession, fit_space, open_session
from cnnsearch.engine.settings import Settings
from cnnsearch.engine.time_limit import ShareLimit
from cnnsearch.engine.training_time import TimePredictor, estimate_final_training
from cnnsearch.oracles import find_strategy
from cnnsearch.oracles.protocol import Draws, Oracle
from cnnsearch.oracles.stopping import StopWhenEnough
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import RECOMMENDED, find_recommended
from cnnsearch.runs.pareto import find_front
from cnnsearch.runs.ranking import find_best, rank_trials
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.published_points import PublishedPoint, find_points
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.objectives import costs_of, find_objective, objective_of
from cnnsearch.utils.html_tables import render_table
from cnnsearch.utils.units import format_time, pluralize

if TYPE_CHECKING:
    import pandas

    from cnnsearch.oracles.search_oracle import SearchOracle

COLUMNS = (
    "id", "status", "score", "family", *(kind.key for kind in BOUNDED),
    "epochs", "seconds", "reason",
)  # fmt: skip
"""Of a trial, in a table of pandas."""
SHOWN = 20
"""Rows of the leaderboard in a notebook."""


@dataclass(frozen=True)
class SearchResult:
    """How a search ended.

    Attributes:
        run: the run's folder and database.
        reason: why it ended: trials, exhausted, schedule, time or interrupted.
        best: the candidate with the highest score; None: none was finished.
        trials: every candidate, in order.
        draws: how many proposals were drawn, and why some were rejected.
    """

    run: RunDirectory
    reason: str
    best: TrialRecord | None
    trials: tuple[TrialRecord, ...]
    draws: Draws = field(default_factory=Draws)

    def to_pandas(self) -> "pandas.DataFrame":
        """Returns a row for each trial: its outcome, its cost, and its hyperparameters."""
        import pandas

        rows = [
            {**{key: getattr(trial, key) for key in COLUMNS}, **trial.values}
            for trial in self.trials
        ]
        return pandas.DataFrame(rows, columns=None if rows else list(COLUMNS)).set_index("id")

    def _repr_html_(self) -> str:
        """Returns the leaderboard: what a notebook shows."""
        settings = self.run.manifest["settings"]
        measured = objective_of(settings).heading
        columns = choose_columns(settings, costs_of(settings))
        ranked = rank_trials(self.trials)
        rows = [
            (rank, trial.id, trial.label, f"{trial.score or 0.0:.2%}",
             *(kind.format(kind.read(trial)) for kind in columns))
            for rank, trial in enumerate(ranked[:SHOWN], start=1)
        ]  # fmt: skip
        title = f"Run {self.run.name}: {pluralize(len(ranked), 'finished candidate')}, best first"
        head = ("rank", "trial", "family", measured, *(kind.heading for kind in columns))
        return render_table(title, head, rows)


def train_candidates(
    run: RunDirectory,
    settings: Settings,
    space: SearchSpace,
    dataset: Dataset,
    callback: SearchCallback | None,
    executor: Executor,
    started: float,
    latency_model: LatencyModel | None = None,
) -> SearchResult:
    """Runs one session of a search until something ends it."""
    space = fit_space(space, dataset)
    limit, max_disk = settings.search.max_time, settings.placement.max_disk or MAX_DISK
    deadline = None if limit is None else started + limit
    promotes = find_strategy(settings.search.strategy).multi_fidelity
    with open_session(run, settings, callback, executor, deadline) as session:
        predictor, earlier = TimePredictor(run.db, dataset), restore_earlier(run)
        points = find_points(space)
        plan = make_plan(settings, space, predictor, deadline, executor)
        create = partial(
            make_oracle, settings, space, time_limit=plan.limit, latency_model=latency_model,
            earlier=earlier, points=points,
        )  # fmt: skip
        oracle = create(run.db)
        baseline = find_baseline(settings, space)
        first = _wrap(oracle, baseline, settings, space, run)
        overview = replace(_make_overview(session, space, dataset), workers=executor.free)
        notes = describe_earlier(settings.search.learn_from, earlier)
        notes += _describe_start(oracle, settings, points, baseline, plan)
        notes += _list_warnings(settings, dataset)
        notes += explain_features(space, settings.training.changes)
        session.begin(overview, notes, startup=time.monotonic() - started)
        if not promotes:
            rehearsal = partial(create, ReadOnlyStore(run.db))
            add_forecast(session, space, dataset, predictor, plan, executor, rehearsal)
        reason = session.train(
            first, space, dataset, None, DiskQuota(run, max_disk, promotes=promotes),
            baseline=baseline, networks={p.architecture.fingerprint: p.name for p in points},
            latency=make_task(settings) if latency_model else None, latency_model=latency_model,
            predict_seconds=predictor.predict,
        )  # fmt: skip
        _record_recommended(run, oracle)
        session.close(reason)  # MLflow is up to date before the summary names it
        seconds = time.monotonic() - started
        session.callback.on_search_end(summarize(run, reason, oracle.draws, seconds))
    trials = tuple(run.db.get_trials())
    return SearchResult(run, reason, find_best(trials), trials, oracle.draws)


def _record_recommended(run: RunDirectory, oracle: "SearchOracle") -> None:
    """Records the trial that the strategy recommends, where it is not the best one."""
    chosen, best = oracle.recommend(), find_best(run.db.get_trials())
    if chosen is None or best is None or best.id not in oracle.trials:  # the plain baseline is best
        return
    if (chosen.score or 0.0) < (best.score or 0.0):
        run.db.append(RECOMMENDED, {"best": best.id}, chosen.id)


def _wrap(
    oracle: "SearchOracle",
    baseline: Candidate | None,
    settings: Settings,
    space: SearchSpace,
    run: RunDirectory,
) -> Oracle:
    """Returns an oracle that proposes the baseline first, and ends as the settings say."""
    first: Oracle = oracle
    if baseline:
        epochs = count_epochs(settings, space)
        first = BaselineFirst(oracle, baseline, epochs, run.db.get_trials())
    return StopWhenEnough(oracle, first) if settings.search.stop_when_enough else first


def _describe_start(
    oracle: "SearchOracle",
    settings: Settings,
    points: Sequence[PublishedPoint],
    baseline: Candidate | None,
    plan: Plan,
) -> Iterator[str]:
    """Yields lines on what a search starts with, and what it leaves out for its time."""
    if baseline is None and wants_baseline(settings):
        yield NO_BASELINE
    first = choose_first(settings, points, oracle.make_history().check)
    if first and not oracle.trials and find_strategy(settings.search.strategy).is_guided:
        yield describe_first(first)
    if isinstance(plan.limit, ShareLimit):
        yield plan.limit.describe()


def _list_warnings(settings: Settings, dataset: Dataset) -> Iterator[str]:
    if shadowed := describe_shadowed(settings.data.source):
        yield shadowed
    imbalance = describe_imbalance(settings, dataset)
    if imbalance:
        yield imbalance
    yield from dataset.warnings
    for skipped in dataset.skipped:
        yield f"Left out: {skipped}"


def describe_imbalance(settings: Settings, data: Dataset) -> str:
    """Returns a warning if one class has many more images than another, else nothing."""
    counts = np.bincount(data.train.labels(), minlength=data.classes)
    most, least = int(counts.max()), int(max(1, counts.min()))
    is_balanced = find_objective(settings.training.objective).balanced
    if most < IMBALANCED * least or is_balanced or settings.training.class_weights != "none":
        return ""
    names = (data.class_names[int(counts.argmax())], data.class_names[int(counts.argmin())])
    return (
        f"Classes are unbalanced: {most:,} images of {names[0]!r}, {least:,} of {names[1]!r} "
        f"({most / least:.1f} to 1). Accuracy favours the larger; consider "
        "--objective balanced_accuracy --class-weights balanced."
    )


def _make_overview(session: RunSession, space: SearchSpace, data: Dataset) -> Overview:
    settings, trials = session.settings, session.run.db.get_trials()
    search, best = settings.search, find_best(trials)
    budget = [kind.describe(bound) for kind, bound in search.budget.bounds]
    if search.max_train_time is not None:
        budget.append(f"{format_time(search.max_train_time)} of training")
    return session.make_overview(
        data,
        space=space.name,
        strategy=search.strategy,
        trials=search.trials,
        epochs=count_epochs(settings, space),
        budget=" and ".join(budget),
        finished=count_candidates(trials, "completed", "failed"),
        best=best.score if best else None,
        seconds=search.max_time,
        multi_fidelity=find_strategy(search.strategy).multi_fidelity,
    )


def summarize(run: RunDirectory, reason: str, draws: Draws, seconds: float) -> Summary:
    """Returns what the display shows at the end."""
    trials, objective = run.db.get_trials(), objective_of(run.manifest["settings"])
    best, data = find_best(trials), run.manifest["dataset"]
    images = int(data["train"]), int(data["validation"])
    return Summary(
        run=run.name,
        reason=reason,
        best=best,
        recommended=find_recommended(run),
        completed=count_candidates(trials, "completed"),
        failed=sum(trial.status == "failed" and not trial.is_too_slow for trial in trials),
        too_slow=sum(trial.is_too_slow for trial in trials),
        draws=draws,
        seconds=seconds,
        path=str(run.path),
        measured=objective.title,
        promotions=count_promotions(trials),
        front=front.describe() if (front := find_front(run)) else "",
        gain=measure_gain(trials, images[1], objective.name),
        final_seconds=None if best is None else estimate_final_training(best, *images),
    )
