"""What a run's events hold, as MLflow's metrics, parameters and tags within MLflow's limits."""

import getpass
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.objectives import OBJECTIVES

LONGEST_PARAM, LONGEST_TAG, LONGEST_KEY = 6000, 8000, 250
_RENAMED = {"seconds": "epoch_seconds"}  # ``seconds`` is the whole candidate's
_NOT_IN_KEYS = re.compile(r"[^\w\-. :/]")


class Point(NamedTuple):
    """A metric's value at a step (an epoch, or 0), at ``time`` in milliseconds since 1970."""

    key: str
    value: float
    time: int
    step: int


def git_commit(environment: Mapping[str, Any]) -> str | None:
    """Returns the git revision that an environment names, if any."""
    found = environment.get("git_revision") or environment.get("git")
    return str(found) if found else None


def source(commit: str | None) -> dict[str, str]:
    """Who made a run, in MLflow's own tags."""
    tags = {"mlflow.source.name": "cnnsearch", "mlflow.source.type": "LOCAL"}
    tags["mlflow.user"] = _user()
    return {**tags, "mlflow.source.git.commit": commit} if commit else tags


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def costs(data: Mapping[str, Any]) -> dict[str, Any]:
    """A candidate's cost as metrics, so that the table can be sorted by it."""
    costs = {name: data.get(name) for name in ("params", "params_total", "macs", "epochs")}
    macs = data.get("macs")
    return {**costs, "flops": None if macs is None else 2 * macs}


def outcome(data: Mapping[str, Any], history: list[dict[str, Any]]) -> dict[str, Any]:
    """What a candidate's end adds to its curves."""
    curves = {key for epoch in history for key in epoch} - {"seconds"}
    found = {key: value for key, value in (data.get("metrics") or {}).items() if key not in curves}
    best = {}
    for objective in OBJECTIVES:
        name = objective.metric
        if reached := [epoch[name] for epoch in history if _finite(epoch.get(name))]:
            best[f"best_{name}"] = float(f"{max(reached, key=objective.score):.6g}")
    return {**found, **best, "score": data.get("score"), "seconds": data.get("seconds")}


def tested(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a finally trained model's test came to; ``latency_ms`` is that of one image."""
    return {**data, "latency_ms": data.get("latency_ms_batch_1")}


def exported(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the first export of a candidate was found to do."""
    return {key: data.get(key) for key in ("test_accuracy", "latency_ms")}


def progress(trials: list[TrialRecord], ended: set[str | None]) -> list[Point]:
    """The best score so far against the number of finished candidates."""
    best, made = -math.inf, list[Point]()
    done = [t for t in trials if t.status == "completed" and _finite(t.score)]
    for count, trial in enumerate(sorted(done, key=lambda t: t.ended or 0), start=1):
        best = max(best, trial.score or 0)
        if trial.id in ended:
            values = {"best_so_far": best, "candidates": count}
            made += points(values, int(1000 * (trial.ended or 0)), count)
    return made


def points(values: Mapping[str, Any], time: int, step: int) -> list[Point]:
    """Makes points of what is a number in ``values``; ``time`` in milliseconds since 1970."""
    return [Point(_key(k), float(v), time, step) for k, v in values.items() if _number(v)]


def curve(metrics: Mapping[str, Any], time: int, epoch: int) -> list[Point]:
    """Makes an epoch's points, with six digits: more is noise, and fills the table's columns."""
    numbers = {_RENAMED.get(k, k): v for k, v in metrics.items() if _number(v)}
    return points({k: float(f"{v:.6g}") for k, v in numbers.items()}, time, epoch)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: Any) -> bool:
    return _number(value) and math.isfinite(value)


def params(values: Mapping[str, Any]) -> dict[str, str]:
    """Nested values as MLflow parameters: flat names, texts within MLflow's limits."""
    return {_key(k): cut(v, LONGEST_PARAM) for k, v in _flat(values).items()}


def tags(environment: Mapping[str, Any]) -> dict[str, str]:
    """An environment as MLflow tags, each name under ``environment.``."""
    flat = _flat({"environment": environment})
    return {_key(k): cut(v, LONGEST_TAG) for k, v in flat.items()}


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _key(name: str) -> str:
    return _NOT_IN_KEYS.sub("_", name)[:LONGEST_KEY]


def cut(text: str, limit: int) -> str:
    """Cuts a text to MLflow's limit."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
