"""Everything that a report says, as plain data from the run's own records."""

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from cnnsearch.engine.settings import SETTINGS
from cnnsearch.errors import RunError
from cnnsearch.report.leaderboard import leaderboard, longest, pareto_front
from cnnsearch.runs.directory import RunDirectory, list_runs
from cnnsearch.runs.records import Event, TrialRecord, find_best
from cnnsearch.space.search_space import SearchSpace, published_files, shipped
from cnnsearch.training.objectives import objective_of

FLAGS = {
    "trials": "--trials",
    "epochs": "--epochs",
    "max_params": "--max-params",
    "max_macs": "--max-macs",
    "seed": "--seed",
    "weights": "--weights",
    "image": "--image",
    "objective": "--objective",
    "class_weights": "--class-weights",
    "train_share": "--train-share",
}
"""Settings that decide what is found, and their flags."""


@dataclass(frozen=True)
class Tested:
    """An accuracy on the untouched test split.

    Attributes:
        what: which model, in words.
        accuracy: in [0, 1].
        low: of the 95 % interval.
        high: likewise.
        basis: what the interval is over.
    """

    what: str
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
        measured: what a score is, in words.
        manifest: what was asked, versions, data.
        space: the space.
        ranked: finished candidates, best first.
        front: the cheapest first.
        trials: all, in order.
        curves: metrics by epoch, of the best candidates, by trial.
        seconds: that sessions took, without the pauses between them.
        moments: active seconds at which each trial ended, by trial.
        draws: what was drawn and refused.
        failures: reasons of failed candidates, and how often.
        retried: attempts beyond the first.
        tested: what is known of the test split.
        sessions: how often the search was begun or gone on with.
        fidelity: what a study of the same space found, in words; empty: there is none.
        reason: why the last session ended.
        source: what to search again: the name of a space that ships, or the run's copy.
        settings: what was asked.
    """

    name: str
    state: str
    measured: str
    manifest: Mapping[str, Any]
    space: SearchSpace
    ranked: tuple[TrialRecord, ...]
    front: tuple[TrialRecord, ...]
    trials: tuple[TrialRecord, ...]
    curves: Mapping[str, Sequence[Mapping[str, float]]]
    seconds: float
    moments: Mapping[str, float]
    draws: Mapping[str, Any]
    failures: Mapping[str, int]
    retried: int
    tested: tuple[Tested, ...]
    sessions: int
    fidelity: str = ""
    reason: str = ""
    source: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def best(self) -> TrialRecord | None:
        """The candidate with the highest score."""
        return find_best(self.trials)

    @property
    def training_seconds(self) -> float:
        """What all candidates took together."""
        return sum(trial.seconds or 0.0 for trial in self.trials)

    @property
    def command(self) -> str:
        """The command that searches the same again."""
        found = ["cnnsearch", "search", self.source]
        found += ["--data", str(self.settings["data"]), "--strategy", self.settings["strategy"]]
        for key, flag in FLAGS.items():
            value = self.settings.get(key)
            if value is not None and value != SETTINGS[key].field.default:
                found += [flag, str(value)]
        found += [part for change in self.settings.get("changes", ()) for part in ("--set", change)]
        found += [f"--{key.replace('_', '-')}" for key in ("freeze", "skip_bad_images")
                  if self.settings.get(key)]  # fmt: skip
        return shlex.join(found)


def facts_of(run: RunDirectory, curves: int = 8) -> Facts:
    """Collects what a report says.

    Args:
        run: a search.
        curves: of how many of the best candidates learning curves are shown.

    Raises:
        RunError: it is no search, or holds what no search writes.
    """
    kind = run.manifest.get("kind", "search")
    if kind != "search":
        hint = f"cnnsearch results {run.name} shows it" if kind == "final" else "see its picture"
        raise RunError(f"run {run.name!r} is of cnnsearch {kind}, a report is of a search; {hint}")
    try:
        return _collected(run, curves)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"run {run.name!r}: cannot be reported: {error!r}") from None


def _collected(run: RunDirectory, curves: int) -> Facts:
    settings = dict(run.manifest["settings"])
    trials, events = run.db.get_trials(), _all_events(run)
    last_rungs = longest(trials)
    ranked = leaderboard(last_rungs)
    seconds, moments, sessions = activity(events)
    failures = Counter(str(t.reason).split(":")[0] for t in trials if t.status == "failed")
    last = run.db.get_last_event("run_ended")
    return Facts(
        name=run.name,
        state=run.state,
        measured=objective_of(settings).heading,
        manifest=run.manifest,
        space=SearchSpace.from_text(run.space_text, settings["source"]),
        ranked=tuple(ranked),
        front=tuple(pareto_front(last_rungs)),
        trials=tuple(trials),
        curves={trial.id: run.db.get_history(trial.id) for trial in ranked[:curves]},
        seconds=seconds,
        moments=moments,
        draws=_draws(run),
        failures=failures,
        retried=sum(event.kind == "trial_retried" for event in events),
        tested=(*_exported(events), *_finals(run)),
        sessions=sessions,
        fidelity=_studied(run),
        source=_source(run),
        reason=str(last.data.get("reason")) if last else "",
        settings=settings,
    )


def _all_events(run: RunDirectory) -> list[Event]:
    found: list[Event] = []
    while batch := run.db.get_events(after=found[-1].seq if found else 0):
        found += batch
    return found


def activity(events: Sequence[Event]) -> tuple[float, dict[str, float], int]:
    """Returns the active seconds in all, those at which each trial ended, and the sessions.

    Time between a session's last event and the next session's start does not count.
    """
    total, sessions = 0.0, 0
    before: float | None = None
    moments: dict[str, float] = {}
    for event in events:
        if event.kind == "run_started":
            sessions, before = sessions + 1, event.time
        elif before is not None:  # exports come outside of sessions
            total += max(0.0, event.time - before)
            before = None if event.kind == "run_ended" else event.time
        if event.kind == "trial_ended" and event.trial_id:
            moments[event.trial_id] = total
    return total, moments, sessions


def _studied(run: RunDirectory) -> str:
    """What the latest fidelity study of the same space found, in words."""
    for summary in sorted(list_runs(run.path.parent), key=lambda each: -(each.created or 0.0)):
        if summary.kind != "fidelity":
            continue
        with closing(RunDirectory.open(run.path.parent, summary.name)) as study:
            event = study.db.get_last_event("fidelity")
            if event is not None and study.space_text == run.space_text:
                found = event.data
                return (
                    f"Run {study.name}: short trials ({found['way']}) rank candidates of this "
                    f"space as long ones with a Spearman correlation of {found['spearman']:.2f} "
                    f"(95 % interval {found['low']:.2f} to {found['high']:.2f})."
                )
    return ""


def _source(run: RunDirectory) -> str:
    files = {**published_files(), **shipped()}
    name = str(run.manifest.get("space"))
    same = name in files and files[name].read_text("utf-8") == run.space_text
    return name if same else str(run.path / "space.yaml")


def _draws(run: RunDirectory) -> Mapping[str, Any]:
    state, _ = run.db.load_oracle()
    found: Mapping[str, Any] = json.loads(state).get("draws", {}) if state else {}
    return found


def _exported(events: Sequence[Event]) -> list[Tested]:
    """What exports found, the latest of each trial."""
    latest = {str(e.trial_id): e.data for e in events if e.kind == "exported"}
    return [
        Tested(
            f"trial {trial}, as exported", data["test_accuracy"], data["interval"][0],
            data["interval"][1], f"{data['test_images']:,} images, Wilson",
        )
        for trial, data in latest.items()
        if data.get("test_accuracy") is not None and data.get("interval")
    ]  # fmt: skip


def _finals(run: RunDirectory) -> list[Tested]:
    """What final trainings of this search found."""
    found = []
    for summary in list_runs(run.path.parent):
        if summary.kind != "final":
            continue
        with closing(RunDirectory.open(run.path.parent, summary.name)) as final:
            event = final.db.get_last_event("results")
            if event is None or final.manifest["final"].get("run") != run.name:
                continue
            data, seeds = event.data["metrics"], final.manifest["final"]["seeds"]
            low, high = data.get("test_accuracy_low"), data.get("test_accuracy_high")
            basis = f"{seeds} seed{'s' * (seeds != 1)}, trained in full"
            found.append(Tested(f"run {final.name}", data["test_accuracy"], low, high, basis))
    return found
