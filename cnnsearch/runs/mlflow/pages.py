"""Texts and views in MLflow: names of runs, the Markdown description, columns of the table."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cnnsearch.architecture.costs import (
    BOUNDED,
    COSTS,
    CostKind,
    choose_columns,
    list_bounds,
)
from cnnsearch.runs.pareto import measure_front
from cnnsearch.runs.ranking import find_pareto_front, rank_trials
from cnnsearch.runs.records import TrialRecord, shorten_family
from cnnsearch.training.objectives import OBJECTIVES, Objective, costs_of, objective_of

_COSTS = tuple(f"metrics.`{kind.key}`" for kind in COSTS if not kind.is_measured)
_COLUMNS = (
    "metrics.`best_val_accuracy`",
    "metrics.`val_accuracy`",
    *_COSTS,
    "tags.`family`",
    "tags.`pareto`",
    "tags.`status`",
)
_FIXED = {"0": 73, "attributes.`Run Name`": 200, "runDateAndNestInfo": 130}  # pixels
_NARROW = {**dict.fromkeys(_COSTS, 90), "tags.`family`": 90}
_NARROW_TAGS = {"tags.`pareto`": 75, "tags.`status`": 95}
_TESTED = (
    "metrics.`test_accuracy`",
    "params.`role`",
    "params.`seed`",
    *(f"metrics.`{kind.key}`" for kind in BOUNDED if kind.is_basic),
    "tags.`status`",
)
_MODE = "workflowType=machine_learning"  # else MLflow shows its pages for language models


def make_experiment_tags(
    name: str, parent: str, final: bool = False, objective: Objective = OBJECTIVES[0]
) -> dict[str, str]:
    """Returns tags with an experiment's shared views: one of all searches, and one of this run.

    That of a search is sorted by its objective; that of a final training shows test metrics.
    """
    ranked = tuple(dict.fromkeys((f"metrics.`best_{objective.metric}`", *_COLUMNS)))
    shown = _TESTED if final else ranked
    search = {
        **_make_view(shown),
        "searchFilter": f"tags.`mlflow.parentRunId` = '{parent}'",
        "orderByKey": shown[0],
        "orderByAsc": not final and objective.direction == "min",
    }
    return {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.sharedViewState.searches": json.dumps(_make_view(_COLUMNS)),
        f"mlflow.sharedViewState.search-{name}": json.dumps(search),
    }


def _make_view(columns: Sequence[str]) -> dict[str, Any]:
    widths = {**_FIXED, **dict.fromkeys(columns, 105), **_NARROW, **_NARROW_TAGS}
    widths |= {columns[0]: 145, "duration": 90}
    return {
        "selectedColumns": ["attributes.`Duration`", *columns],
        "columnOrder": [*_FIXED, *columns, "duration"],
        "columnWidths": widths,
    }


def locate_searches(experiment: str) -> str:
    """Returns the path of the table of all searches, with their candidates collapsed."""
    return f"/#/experiments/{experiment}/runs?{_MODE}&viewStateShareKey=searches"


def locate_search(experiment: str, name: str) -> str:
    """Returns the path of the table of one search's candidates, the most accurate first."""
    return f"/#/experiments/{experiment}/runs?{_MODE}&viewStateShareKey=search-{name}"


def locate_run(experiment: str, run: str) -> str:
    """Returns the path of one MLflow run."""
    return f"/#/experiments/{experiment}/runs/{run}?{_MODE}"


def format_short(number: float | None) -> str:
    """Formats 82314 as ``82k``, 1240000 as ``1.2M``: short enough for the names of runs."""
    if number is None:
        return "?"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * size:
            scaled = number / size
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
    return f"{number:.0f}"


def name_trial(data: Mapping[str, Any]) -> str:
    """Returns the name of a candidate's run: ``007 residual 82k``."""
    family = shorten_family(str(data["family"]))
    return f"{data['number']:03d} {family} {format_short(data.get('params'))}"


def name_record(trial: TrialRecord) -> str:
    """Returns the name of a candidate's run."""
    return name_trial({"number": trial.number, "family": trial.family, "params": trial.params})


def write_note(
    name: str, manifest: Mapping[str, Any], trials: Sequence[TrialRecord], runs: Mapping[str, str]
) -> str:
    """Returns a search's description: settings, best so far, how to export it.

    Args:
        name: of the run.
        manifest: of the run.
        trials: so far.
        runs: link target by trial id.
    """
    ranked = rank_trials(trials)
    lines = [f"{_describe_search(manifest)} {_count_by_status(trials)}", ""]
    if ranked:
        lines += [_describe_best(ranked[0], runs), ""]
        lines += ["```", f"cnnsearch results {name}"]
        lines += [f"cnnsearch export best --run {name} --out exports/{name}"]
        lines += [f"cnnsearch register {name} --run {name} --alias champion", "```", ""]
        what = objective_of(manifest.get("settings")).heading.replace("val ", "val. ")
        columns = choose_columns(manifest.get("settings"), costs_of(manifest.get("settings")))
        lines += [f"| | candidate | {what} | {' | '.join(kind.heading for kind in columns)} |"]
        lines += [f"|--:|---|--:|{'--:|' * len(columns)}"]
        for place, trial in enumerate(ranked[:5], start=1):
            lines.append(_make_row(place, trial, runs, columns))
        front = find_pareto_front(ranked, costs_of(manifest.get("settings")))
        measured = measure_front(manifest.get("settings", {}), trials)
        words = f"On the Pareto front of score and multiply-adds: {len(front)}"
        lines += ["", measured.describe() if measured else words]
        lines[-1] += " (filter: `tags.pareto = 'true'`)."
    return "\n".join(lines)


def write_final_note(
    name: str,
    manifest: Mapping[str, Any],
    trials: Sequence[TrialRecord],
    runs: Mapping[str, str],
    tests: Mapping[str, float],
) -> str:
    """Returns a final training's description: test accuracy by network and seed.

    The arguments are those of :func:`write_note`, and ``tests``: test accuracy by trial id.
    """
    final = manifest["final"]
    head = f"Final training of **{final['from']}** on **{manifest.get('data')}**: "
    head += f"{final['epochs']} epochs, {final['seeds']} seed{'s' * (final['seeds'] != 1)}. "
    lines = [head + _count_by_status(trials), ""]
    if tests:
        lines += ["```", f"cnnsearch results {name}"]
        lines += [f"cnnsearch export best --run {name} --out exports/{name}", "```", ""]
    lines += ["| | network | seed | test accuracy | params | MACs |"]
    lines += ["|---|---|--:|--:|--:|--:|"]
    return "\n".join([*lines, *(_make_test_row(trial, runs, tests) for trial in trials)])


def _make_test_row(trial: TrialRecord, runs: Mapping[str, str], tests: Mapping[str, float]) -> str:
    link = f"[{trial.values['network']}]({runs[trial.id]})" if trial.id in runs else ""
    share = f"{100 * tests[trial.id]:.2f} %" if trial.id in tests else trial.status
    cells = (trial.values["role"], link or trial.values["network"], trial.values["seed"], share)
    costs = (format_short(trial.params), format_short(trial.macs))
    return f"| {' | '.join(map(str, (*cells, *costs)))} |"


def _describe_search(manifest: Mapping[str, Any]) -> str:
    words = [f"Search of **{manifest.get('space', 'a space')}**"]
    for key, before in (("data", "on"), ("strategy", "by")):
        if isinstance(manifest.get(key), str):
            words.append(f"{before} **{manifest[key]}**")
    if manifest.get("seed") is not None:
        words.append(f"(seed {manifest['seed']})")
    words += _describe_limits(manifest)
    if (objective := objective_of(manifest.get("settings"))) != OBJECTIVES[0]:
        words.append(f"for the best **{objective.label}**")
    return " ".join(words) + "."


def _describe_limits(manifest: Mapping[str, Any]) -> list[str]:
    settings = {**(manifest.get("settings") or {}), **manifest}
    found = [f"{format_short(bound)} {kind.label}" for kind, bound in list_bounds(settings)]
    return [f"within {' and '.join(found)}"] if found else []


def _count_by_status(trials: Sequence[TrialRecord]) -> str:
    parts = []
    for status in ("completed", "failed", "stopped", "running"):
        count = sum(t.status == status for t in trials)
        parts += [f"{count} {status}"] if count or status == "completed" else []
    return f"Candidates: {', '.join(parts)}."


def _describe_best(trial: TrialRecord, runs: Mapping[str, str]) -> str:
    costs = f"{format_short(trial.params)} parameters, {format_short(trial.macs)} MACs"
    return f"Best so far: {_make_link(trial, runs)}, **{_format_score(trial)}** with {costs}."


def _make_row(
    place: int, trial: TrialRecord, runs: Mapping[str, str], columns: Sequence[CostKind]
) -> str:
    costs = [format_short(kind.read(trial)) for kind in columns]
    return f"| {' | '.join((str(place), _make_link(trial, runs), _format_score(trial), *costs))} |"


def _make_link(trial: TrialRecord, runs: Mapping[str, str]) -> str:
    name = name_record(trial)
    return f"[{name}]({runs[trial.id]})" if trial.id in runs else name


def _format_score(trial: TrialRecord) -> str:
    return f"{100 * (trial.score or 0):.2f} %"
