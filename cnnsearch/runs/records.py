"""What a run's database hands out: events and trials, as plain frozen records."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NoReturn

from cnnsearch.errors import RunError, one_line

LARGEST = 1e30  # of any number in a record
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


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


class Fields:
    """The values of a JSON object, each of the type that is asked for.

    Args:
        text: the object.
        where: it stands, for messages.

    Raises:
        RunError: it is none, or a value is missing or of another type; names the place and the key.
    """

    def __init__(self, text: object, where: str) -> None:
        self._where = where
        self._data = parsed(text, where)

    def of(self, key: str, *types: type) -> Any:
        """Returns a value; None if it is missing and may be None."""
        value = self._data.get(key)
        if not isinstance(value, types) or isinstance(value, bool):
            self._refuse(key, " or ".join(t.__name__ for t in types), value)
        return value

    def count(self, key: str, default: float | None = None) -> Any:
        """Returns a number from 0 on, or ``default`` if there is none."""
        value = self.number(key, default)
        if value is not None and value < 0:
            raise RunError(f"{self._where}: {key}: expected a number from 0 on, got {value:g}")
        return value

    def number(self, key: str, default: float | None = None) -> Any:
        """Returns a number, or ``default`` if there is none."""
        value = self._data.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(key, "a number", value)
        if not abs(value) < LARGEST:
            self._refuse(key, "a finite number", value)
        return value

    def _refuse(self, key: str, rule: str, value: object) -> NoReturn:
        raise RunError(f"{self._where}: {key}: expected {rule}, got {type(value).__name__}")


def parsed(text: object, where: str) -> dict[str, Any]:
    """Returns the JSON object that ``text`` is.

    Raises:
        RunError: it is none.
    """
    try:
        data = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise RunError(f"{where}: is damaged, it is no JSON object")
    return data


def event(row: tuple[Any, ...], where: str = "run.db") -> Event:
    """Makes an event of a row: seq, time, kind, trial id, data (JSON)."""
    seq, time, kind, trial_id, data = row
    where = f"{where}: event {seq}"
    if not (isinstance(time, float) and isinstance(kind, str)) or not math.isfinite(time):
        raise RunError(f"{where}: is damaged, its time or kind is none")
    if trial_id is not None:
        _check_id(trial_id, where)
    return Event(seq, time, kind, trial_id, parsed(data, where))


def record(row: tuple[Any, ...], where: str = "run.db") -> TrialRecord:
    """Makes a record of a row: id, number, status, start and outcome (JSON), started, ended."""
    trial_id, number, status, start, outcome, started, ended = row
    _check_id(trial_id, where)
    where = f"{where}: trial {trial_id}"
    began, result = Fields(start, where), Fields("{}" if outcome is None else outcome, where)
    own = Fields(json.dumps(_own(number, started, ended, where)), where)
    reason = result.of("reason", str, type(None))
    return TrialRecord(
        id=trial_id,
        number=own.of("number", int),
        status=status if isinstance(status, str) else "failed",
        values=began.of("values", dict),
        architecture=began.of("architecture", dict),
        recipe=began.of("recipe", dict),
        fingerprint=began.of("fingerprint", str),
        family=one_line(began.of("family", str)),
        params=began.count("params"),
        params_total=began.count("params_total"),
        macs=began.count("macs"),
        epochs=began.of("epochs", int),
        initial_epoch=began.count("initial_epoch", 0),
        continues=began.of("continues", str, type(None)),
        score=result.number("score"),
        reason=None if reason is None else one_line(reason),
        metrics=result.of("metrics", dict, type(None)) or {},
        seconds=result.count("seconds"),
        started=own.count("started", 0.0),
        ended=own.count("ended"),
    )


def _own(number: object, started: object, ended: object, where: str) -> dict[str, object]:
    if any(isinstance(value, bytes) for value in (number, started, ended)):
        raise RunError(f"{where}: is damaged, a number of it is none")
    return {"number": number, "started": started, "ended": ended}


def _check_id(trial_id: object, where: str) -> None:
    if not isinstance(trial_id, str) or not _ID.fullmatch(trial_id):
        raise RunError(f"{where}: is damaged, {trial_id!r} is no trial's id")


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
