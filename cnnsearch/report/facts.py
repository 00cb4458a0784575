"""Collects everything that a report shows, as plain data from the run's own records."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from cnnsearch.architecture.costs import BOUNDED, CostKind, choose_columns
from cnnsearch.engine.gain import Gain, measure_gain
from cnnsearch.engine.settings import SETTINGS
from cnnsearch.errors import RunError
from cnnsearch.report.time_ledger import TimeLedger, read_events, read_ledger
from cnnsearch.runs.directory import RunDirectory, list_runs
from cnnsearch.runs.pareto import list_tradeoffs, measure_front
from cnnsearch.runs.ranking import find_pareto_front, rank_trials
from cnnsearch.runs.records import Event, TrialRecord
from cnnsearch.space.files import list_published_files, list_spaces
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.objectives import costs_of, objective_of

FLAGS = ("trials", "epochs", *(kind.budget for kind in BOUNDED),
         "seed", "weights", "image", "objective", "class_weights", "train_share",
         "baseline", "first", "max_train_time")  # fmt: skip
"""Settings that influence what is found; each is a flag of ``cnnsearch search``."""


@dataclass(frozen=True)
class Evaluation:
    """An accuracy measured after the search.

    Attributes:
        model: which model, in words.
        split: test, or validation if the dataset has no test split.
        accuracy: in [0, 1].
        low: of the 95 % interval.
        high: of the 95 % interval.
        basis: what the interval covers.
    """

    model: str
    split: str
    accuracy: float
    low: float | None
    high: float | None
    basis: str


@dataclass(frozen=True)
class Facts:
    """What is known of a search.

    Attributes:
        name: the run's.
        state: running, finished or interrupted.
        measured: name of the score.
        manifest: settings, versions, data.
        settings: of the search.
        space: the space.
        source: what to search again: the name of a space that ships, or the run's copy.
        trials: all, in order.
        ranked: finished candidates by their last rung, best first.
        front: those on the Pareto front, cheapest first.
        front_volume: the front and its hypervolume in words; empty: there is one objective.
        curves: metrics by epoch of the best candidates, by trial.
        seconds: active time of all sessions, without the pauses between them.
        moments: active seconds at which each trial ended, by trial.
        sessions: how often the search was started or resumed.
        draws: how many candidates were drawn and rejected.
        failures: reasons of failed candidates, and how often.
        retried: attempts beyond the first.
        evaluations: accuracies of exports and final trainings.
        gain: of the best candidate over the plain baseline; None: there is none to compare.
        fidelity: what a fidelity study of the same space found, in words; empty: there is none.
        ledger: what the wall time was spent on; None: an earlier version did not measure it.
    """

    name: str
    state: str
    measured: str
    manifest: Mapping[str, Any]
    settings: Mapping[str, Any]
    space: SearchSpace
    source: str
    trials: tuple[TrialRecord, ...]
    ranked: tuple[TrialRecord, ...]
    front: tuple[TrialRecord, ...]
    front_volume: str
    curves: Mapping[str, Sequence[Mapping[str, float]]]
    seconds: float
    moments: Mapping[str, float]
    sessions: int
    draws: Mapping[str, Any]
    failures: Mapping[str, int]
    retried: int
    evaluations: tuple[Evaluation, ...]
    gain: Gain | None
    fidelity: str
    ledger: TimeLedger | None

    @property
    def best(self) -> TrialRecord | None:
        """The candidate at the top of the leaderboard."""
        return self.ranked[0] if self.ranked else None

    @property
    def columns(self) -> tuple[CostKind, ...]:
        """The costs that tables show."""
        chosen = choose_columns(self.settings, costs_of(self.settings))
        return tuple(kind for kind in chosen if kind.has_budget)

    @property
    def tradeoffs(self) -> list[CostKind]:
        """The costs that figures show scores against."""
        return list_tradeoffs(self.settings, self.trials)

    @property
    def training_seconds(self) -> float:
        """Training time of all candidates together."""
        return sum(trial.seconds or 0.0 for trial in self.trials)

    @property
    def command(self) -> str:
        """The command that repeats the search."""
        words = ["cnnsearch", "search", self.source]
        words += ["--data", str(self.settings["data"]), "--strategy", self.settings["strategy"]]
        for key in FLAGS:
            value = self.settings.get(key)
            if value is not None and value != SETTINGS[key].field.default:
                words += [f"--{key.replace('_', '-')}", str(value)]
        for key in ("changes", "learn_from"):
            flag = SETTINGS[key].flag
            words += [part for value in self.settings.get(key, ()) for part in (flag, value)]
        words += [f"--{key.replace('_', '-')}" for key in ("freeze", "skip_bad_images")
                  if self.settings.get(key)]  # fmt: skip
        return shlex.join(words)


def collect_facts(run: RunDirectory, curves: int = 8) -> Facts:
    """Collects what a report shows.

    Args:
        run: a search.
        curves: how many of the best candidates have learning curves.

    Raises:
        RunError: it is not a search, or its records are not those of a search.
    """
    kind = run.manifest.get("kind", "search")
    if kind != "search":
        hint = f"cnnsearch results {run.name} shows it" if kind == "final" else "see its figure"
        raise RunError(f"run {run.name!r} is of cnnsearch {kind}, a report is of a search; {hint}")
    try:
        return _collect(run, curves)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"run {run.name!r}: cannot be reported: {error!r}") from None


def _collect(run: RunDirectory, curves: int) -> Facts:
    settings = dict(run.manifest["settings"])
    trials, events = run.db.get_trials(), read_events(run)
    ranked = rank_trials(trials)
    seconds, moments, sessions = measure_activity(events)
    return Facts(
        name=run.name,
        state=run.state,
        measured=objective_of(settings).heading,
        manifest=run.manifest,
        settings=settings,
        space=SearchSpace.from_text(run.space_text, settings["source"]),
        source=_find_source(run),
        trials=tuple(trials),
        ranked=tuple(ranked),
        front=tuple(find_pareto_front(trials, costs_of(settings))),
        front_volume=front.describe() if (front := measure_front(settings, trials)) else "",
        curves={trial.id: run.db.get_history(trial.id) for trial in ranked[:curves]},
        seconds=seconds,
        moments=moments,
        sessions=sessions,
        draws=_read_draws(run),
        failures=Counter(t.failure for t in trials if t.status == "failed"),
        retried=sum(event.kind == "trial_retried" for event in events),
        evaluations=(*_read_exports(events), *_read_final_trainings(run)),
        gain=measure_gain(
            trials, int(run.manifest["dataset"]["validation"]), objective_of(settings).name
        ),
        fidelity=_describe_fidelity(run),
        ledger=_find_ledger(run, events),
    )


def _find_ledger(run: RunDirectory, events: Sequence[Event]) -> TimeLedger | None:
    try:
        return read_ledger(run, events)
    except RunError:
        return None


def measure_activity(events: Sequence[Event]) -> tuple[float, dict[str, float], int]:
    """Returns the active seconds, those at which each trial ended, and the number of sessions.

    Time between a session's last event and the next session's start does not count.
    """
    total, sessions = 0.0, 0
    before: float | None = None
    moments: dict[str, float] = {}
    for event in events:
        if event.kind == "run_started":
            sessions, before = sessions + 1, event.time
        elif before is not None:  # exports are recorded outside of sessions
            total += max(0.0, event.time - before)
            before = None if event.kind == "run_ended" else event.time
        if event.kind == "trial_ended" and event.trial_id:
            moments[event.trial_id] = total
    return total, moments, sessions


def _open_runs(root: Any, kind: str) -> Iterator[RunDirectory]:
    """Yields the runs of one kind, the latest first."""
    for summary in sorted(list_runs(root), key=lambda each: -(each.created or 0.0)):
        if summary.kind == kind:
            with closing(RunDirectory.open(root, summary.name)) as run:
                yield run


def _describe_fidelity(run: RunDirectory) -> str:
    """Describes the latest fidelity study of the same space."""
    for study in _open_runs(run.path.parent, "fidelity"):
        event = study.db.get_last_event("fidelity")
        if event is not None and study.space_text == run.space_text:
            found = event.data
            return (
                f"Run {study.name}: the proxy budget ({found['way']}) ranks candidates of this "
                "space as the full budget does, with a Spearman correlation of "
                f"{found['spearman']:.2f} (95 % interval {found['low']:.2f} to "
                f"{found['high']:.2f})."
            )
    return ""


def _find_source(run: RunDirectory) -> str:
    files = {**list_published_files(), **list_spaces()}
    name = str(run.manifest.get("space"))
    same = name in files and files[name].read_text("utf-8") == run.space_text
    return name if same else str(run.path / "space.yaml")


def _read_draws(run: RunDirectory) -> Mapping[str, Any]:
    state, _ = run.db.load_oracle()
    draws: Mapping[str, Any] = json.loads(state).get("draws", {}) if state else {}
    return draws


def _read_exports(events: Sequence[Event]) -> list[Evaluation]:
    """Returns what exports measured, the latest of each trial."""
    latest = {str(e.trial_id): e.data for e in events if e.kind == "exported"}
    return [
        Evaluation(
            f"trial {trial}, as exported", data.get("split", "test"), data["test_accuracy"],
            data["interval"][0], data["interval"][1], f"{data['test_images']:,} images, Wilson",
        )
        for trial, data in latest.items()
        if data.get("test_accuracy") is not None and data.get("interval")
    ]  # fmt: skip


def _read_final_trainings(run: RunDirectory) -> Iterator[Evaluation]:
    """Yields what final trainings of this search measured."""
    for final in _open_runs(run.path.parent, "final"):
        event = final.db.get_last_event("results")
        if event is None or final.manifest["final"].get("run") != run.name:
            continue
        data, seeds = event.data["metrics"], final.manifest["final"]["seeds"]
        low, high = data.get("test_accuracy_low"), data.get("test_accuracy_high")
        basis = f"{seeds} seed{'s' * (seeds != 1)}, trained in full"
        yield Evaluation(f"run {final.name}", "test", data["test_accuracy"], low, high, basis)
