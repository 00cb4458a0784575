"""What the wall time of a run was spent on, from the events in its journal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from cnnsearch.errors import RunError
from cnnsearch.runs.directory import CLOSING_SECONDS, RunDirectory
from cnnsearch.runs.records import Event

START, PROPOSE, FORK, LOG, LOST, IDLE = "start-up", "propose", "fork", "log", "lost", "idle"
ACTIVITIES = {
    START: "imports, data, tracker, forecast: until the first candidate is proposed",
    PROPOSE: "the strategy chooses a candidate",
    FORK: "a candidate's process starts",
    "build": "the model is built, or restored from a checkpoint",
    "compile": "first training step and first evaluation, which are traced",
    "train": "training steps",
    "evaluate": "the validation split",
    "checkpoint": "weights and optimizer state are written",
    LOG: "results are reported and recorded",
    LOST: "work that a failure or an interruption discarded",
    IDLE: "workers without a candidate",
}
"""The activities, in order, and what they include."""
TRIAL_EVENTS = ("trial_started", "trial_retried", "epoch", "trial_ended")


class Seconds(dict[str, float]):
    """Seconds by activity."""

    def spend(self, activity: str, seconds: float) -> None:
        """Adds seconds of one activity."""
        self[activity] = self.get(activity, 0.0) + seconds

    def add(self, other: Mapping[str, float], share: float = 1.0) -> None:
        """Adds a share of other seconds."""
        for activity, seconds in other.items():
            self.spend(activity, share * seconds)

    @property
    def total(self) -> float:
        """Of all activities."""
        return sum(self.values())


@dataclass
class _Trial:
    """A trial that is running: the moment up to which its time is accounted for."""

    id: str
    since: float
    is_new: bool = True


@dataclass
class TimeLedger:
    """Seconds by activity; those of parallel workers count as their mean.

    Attributes:
        wall: from the call of each session to its end, without the pauses between them.
        seconds: of the run by activity; their sum is ``wall``.
        trials: worker seconds of each trial by activity.
        sessions: how often the run was started or resumed.
    """

    wall: float = 0.0
    seconds: Seconds = field(default_factory=Seconds)
    trials: dict[str, Seconds] = field(default_factory=dict)
    sessions: int = 0

    def list_shares(self) -> list[tuple[str, float, float]]:
        """Returns each activity with its seconds and its share of the wall time."""
        wall = self.wall or 1.0
        return [(name, self.seconds.get(name, 0.0), self.seconds.get(name, 0.0) / wall)
                for name in ACTIVITIES]  # fmt: skip


def read_events(run: RunDirectory) -> list[Event]:
    """Returns all events of a run, in order."""
    events: list[Event] = []
    while batch := run.db.get_events(after=events[-1].seq if events else 0):
        events += batch
    return events


def read_ledger(run: RunDirectory, events: Sequence[Event] | None = None) -> TimeLedger:
    """Returns what a run's wall time was spent on.

    Args:
        run: a search, a final training or a fidelity study.
        events: all of the run, if they were read before.

    Raises:
        RunError: a session was recorded before activities were.
    """
    found = read_events(run) if events is None else events
    return make_ledger(found, run.name, run.db.open_mapping(CLOSING_SECONDS))


def make_ledger(
    events: Iterable[Event], name: str, closing: Mapping[str, str] = MappingProxyType({})
) -> TimeLedger:
    """Divides a run's wall time between activities.

    Args:
        events: all of the run, in order.
        name: of the run, for messages.
        closing: seconds that a session took after its ``run_ended``, by the event's ``seq``.

    Raises:
        RunError: a session was recorded before activities were.
    """
    ledger, session = TimeLedger(), list[Event]()
    for event in events:
        if event.kind == "run_started":
            _add_session(ledger, session, name)
            session = []
        if session or event.kind == "run_started":  # exports are recorded outside of sessions
            session.append(event)
        if event.kind == "run_ended":
            _add_session(ledger, session, name)
            session = []
            after = _read(closing, str(event.seq))
            ledger.wall += after
            ledger.seconds.spend(LOG, after)
    _add_session(ledger, session, name)
    return ledger


def _add_session(ledger: TimeLedger, events: list[Event], name: str) -> None:
    """Adds a session, which a kill may have ended without a ``run_ended``."""
    if not events:
        return
    first, last = events[0], events[-1]
    if "startup_seconds" not in first.data:
        raise RunError(f"run {name!r} was recorded by a version that did not measure activities")
    startup, workers = _read(first.data, "startup_seconds"), max(1.0, _read(first.data, "workers"))
    trials = [event for event in events if event.kind in TRIAL_EVENTS]
    begin = trials[0].time - _read(trials[0].data, "propose_seconds") if trials else last.time
    spent, end = _add_trials(ledger, trials, last.time)
    ledger.sessions += 1
    ledger.wall += startup + last.time - first.time
    ledger.seconds.spend(START, startup + begin - first.time)
    ledger.seconds.add(spent, 1 / workers)
    ledger.seconds.spend(IDLE, end - begin - spent.total / workers)
    ledger.seconds.spend(LOG, last.time - end)


def _add_trials(ledger: TimeLedger, events: list[Event], last: float) -> tuple[Seconds, float]:
    """Adds a session's trials; returns the worker seconds by activity, and when the last ended."""
    spent, running = Seconds(), dict[str, _Trial]()
    for event in events:
        key = str(event.trial_id)
        if event.kind == "trial_started":
            running[key] = _Trial(key, event.time)
            found = Seconds({PROPOSE: _read(event.data, "propose_seconds")})
        else:
            found = _account(running[key], event)
        _add(ledger, spent, key, found)
        if event.kind == "trial_ended":
            del running[key]
    for trial in running.values():
        _add(ledger, spent, trial.id, Seconds({LOST: last - trial.since}))
    return spent, last if running or not events else events[-1].time


def _add(ledger: TimeLedger, spent: Seconds, trial_id: str, found: Seconds) -> None:
    spent.add(found)
    ledger.trials.setdefault(trial_id, Seconds()).add(found)


def _account(trial: _Trial, event: Event) -> Seconds:
    """Returns a trial's seconds by activity up to an event."""
    activities = event.data.get("activities")
    if not isinstance(activities, Mapping):
        activities = {}
    if event.kind == "epoch" and not activities:  # a replay: the next epoch has the time
        return Seconds()
    found = Seconds({activity: _read(activities, activity) for activity in activities})
    ended = event.time - _read(event.data, "age")  # the next epoch has the time since then
    rest = ended - trial.since - found.total
    if event.kind == "epoch":
        found.spend(FORK if trial.is_new else LOG, rest)
    else:
        found.spend(LOG if event.data.get("status") == "completed" else LOST, rest)
    trial.since, trial.is_new = ended, event.kind == "trial_retried"
    return found


def _read(data: Mapping[str, Any], key: str) -> float:
    try:
        return float(data.get(key, 0.0))
    except (TypeError, ValueError):  # anybody may have written the file
        return 0.0
