"""Turns a run's events into MLflow's metrics, parameters and tags, within MLflow's limits."""

import getpass
import json
import math
import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

from cnnsearch.architecture.costs import read_costs
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.objectives import OBJECTIVES

LONGEST_PARAM, LONGEST_TAG, LONGEST_KEY = 6000, 8000, 250
_RENAMED = {"seconds": "epoch_seconds"}  # ``seconds`` is of the whole trial
_NOT_IN_KEYS = re.compile(r"[^\w\-. :/]")


class Point(NamedTuple):
    """A metric's value at a step (an epoch, or 0); ``time`` in Unix milliseconds."""

    key: str
    value: float
    time: int
    step: int


def get_commit(environment: Mapping[str, Any]) -> str | None:
    """Returns the git revision of a recorded environment, if any."""
    found = environment.get("git_revision") or environment.get("git")
    return str(found) if found else None


def make_source_tags(commit: str | None) -> dict[str, str]:
    """Returns MLflow's own tags for the author of a run."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    tags = {"mlflow.source.name": "cnnsearch", "mlflow.source.type": "LOCAL", "mlflow.user": user}
    return {**tags, "mlflow.source.git.commit": commit} if commit else tags


def get_costs(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a candidate's cost as metrics: MLflow's table can be sorted by them."""
    others = {name: data.get(name) for name in ("params_total", "epochs")}
    return {**read_costs(SimpleNamespace(**data)), **others}


def get_outcome(data: Mapping[str, Any], history: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the metrics that a candidate's end adds to its curves."""
    curves = {key for epoch in history for key in epoch} - {"seconds"}
    found = {key: value for key, value in (data.get("metrics") or {}).items() if key not in curves}
    best = {}
    for objective in OBJECTIVES:
        name = objective.metric
        epochs = [found] if objective.quantized else history
        if reached := [epoch[name] for epoch in epochs if _is_finite(epoch.get(name))]:
            best[f"best_{name}"] = float(f"{max(reached, key=objective.score):.6g}")
    return {**found, **best, "score": data.get("score"), "seconds": data.get("seconds")}


def make_progress_points(trials: list[TrialRecord], ended: set[str | None]) -> list[Point]:
    """Returns the best score so far over the number of finished candidates."""
    best, made = -math.inf, list[Point]()
    done = [t for t in trials if t.status == "completed" and t.score is not None]
    for count, trial in enumerate(sorted(done, key=lambda t: t.ended or 0), start=1):
        best = max(best, trial.score or 0)
        if trial.id in ended:
            values = {"best_so_far": best, "candidates": count}
            made += make_points(values, int(1000 * (trial.ended or 0)), count)
    return made


def make_points(values: Mapping[str, Any], time: int, step: int = 0) -> list[Point]:
    """Returns a point for each number in ``values``; ``time`` in Unix milliseconds."""
    return [Point(_clean_key(k), float(v), time, step) for k, v in values.items() if _is_number(v)]


def make_epoch_points(metrics: Mapping[str, Any], time: int, epoch: int) -> list[Point]:
    """Returns an epoch's points, with six digits: more would be noise in narrow columns."""
    numbers = {_RENAMED.get(k, k): v for k, v in metrics.items() if _is_number(v)}
    return make_points({k: float(f"{v:.6g}") for k, v in numbers.items()}, time, epoch)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def make_params(values: Mapping[str, Any]) -> dict[str, str]:
    """Returns nested values as MLflow parameters with flat names."""
    return {_clean_key(k): shorten(v, LONGEST_PARAM) for k, v in _flatten(values).items()}


def make_environment_tags(environment: Mapping[str, Any]) -> dict[str, str]:
    """Returns an environment as MLflow tags, each name under ``environment.``."""
    flat = _flatten({"environment": environment})
    return {_clean_key(k): shorten(v, LONGEST_TAG) for k, v in flat.items()}


def _flatten(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _clean_key(name: str) -> str:
    return _NOT_IN_KEYS.sub("_", name)[:LONGEST_KEY]


def shorten(text: str, limit: int) -> str:
    """Shortens a text to one of MLflow's limits."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
