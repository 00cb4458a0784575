"""What a run's database hands out: events and trials, as plain frozen records."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any


@dataclass(frozen=True)
class Event:
    """What happened: ``kind`` says what ``data`` holds, ``time`` is in seconds since 1970."""

    seq: int
    time: float
    kind: str
    trial_id: str | None
    data: Mapping[str, Any]


@dataclass(frozen=True)
class TrialRecord:
    """What is known of one candidate; ``status`` is running, completed, failed or stopped."""

    id: str
    number: int
    status: str
    values: Mapping[str, Any]
    architecture: Mapping[str, Any]
    recipe: Mapping[str, Any]
    fingerprint: str
    family: str
    params: int | None
    params_total: int | None
    macs: int | None
    epochs: int
    initial_epoch: int
    continues: str | None
    score: float | None
    reason: str | None
    metrics: Mapping[str, Any]
    seconds: float | None
    started: float
    ended: float | None


def event(row: tuple[Any, ...]) -> Event:
    """Makes an event of a row: seq, time, kind, trial id, data (JSON)."""
    seq, time, kind, trial_id, data = row
    return Event(seq, time, kind, trial_id, json.loads(data))


def record(row: tuple[Any, ...]) -> TrialRecord:
    """Makes a record of a row: id, number, status, start and outcome (JSON), started, ended."""
    trial_id, number, status, start, outcome, started, ended = row
    began, result = json.loads(start), json.loads(outcome or "{}")
    return TrialRecord(
        id=trial_id,
        number=number,
        status=status,
        values=began["values"],
        architecture=began["architecture"],
        recipe=began["recipe"],
        fingerprint=began["fingerprint"],
        family=began["family"],
        params=began.get("params"),
        params_total=began.get("params_total"),
        macs=began.get("macs"),
        epochs=began["epochs"],
        initial_epoch=began.get("initial_epoch", 0),
        continues=began.get("continues"),
        score=result.get("score"),
        reason=result.get("reason"),
        metrics=result.get("metrics") or {},
        seconds=result.get("seconds"),
        started=started,
        ended=ended,
    )


def best_of(trials: Sequence[TrialRecord]) -> TrialRecord | None:
    """Returns the finished trial with the highest score; of equals, the one with fewer MACs."""
    scored = [trial for trial in trials if trial.score is not None]
    return max(scored, key=lambda t: (t.score or 0.0, -(t.macs or 0)), default=None)


def to_json(data: Mapping[str, Any]) -> str:
    """Writes data as JSON: NumPy scalars as numbers, paths as text, NaN and inf as they are."""
    return json.dumps(data, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"an event cannot hold a {type(value).__name__}: {value!r}")
