"""What a person reads in MLflow: names of runs, the Markdown note, columns of the table."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cnnsearch.runs.ranking import find_pareto_front, rank_trials
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.objectives import OBJECTIVES, Objective, objective_of

_COLUMNS = (
    "metrics.`best_val_accuracy`",
    "metrics.`val_accuracy`",
    "metrics.`params`",
    "metrics.`macs`",
    "metrics.`flops`",
    "tags.`family`",
    "tags.`pareto`",
    "tags.`status`",
)
_FIXED = {"0": 73, "attributes.`Run Name`": 200, "runDateAndNestInfo": 130}  # wide enough to read
_NARROW = {"metrics.`params`": 85, "metrics.`macs`": 85, "metrics.`flops`": 90, "tags.`family`": 90}
_NARROW_TAGS = {"tags.`pareto`": 75, "tags.`status`": 95}
_TESTED = (
    "metrics.`test_accuracy`",
    "params.`role`",
    "params.`seed`",
    "metrics.`params`",
    "metrics.`macs`",
    "tags.`status`",
)
_MODE = "workflowType=machine_learning"  # MLflow's pages are else those for language models


def experiment_tags(
    name: str, parent: str, final: bool = False, objective: Objective = OBJECTIVES[0]
) -> dict[str, str]:
    """The tags that give an experiment its views: one of all searches, and one of this search.

    MLflow keeps the views that people share of its table of runs in such tags. That of a search is
    sorted by its objective; that of a final training shows what its models did on the test split.
    """
    ranked = tuple(dict.fromkeys((f"metrics.`best_{objective.metric}`", *_COLUMNS)))
    shown = _TESTED if final else ranked
    search = {
        **_view(shown),
        "searchFilter": f"tags.`mlflow.parentRunId` = '{parent}'",
        "orderByKey": shown[0],
        "orderByAsc": not final and objective.direction == "min",
    }
    return {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.sharedViewState.searches": json.dumps(_view(_COLUMNS)),
        f"mlflow.sharedViewState.search-{name}": json.dumps(search),
    }


def _view(columns: Sequence[str]) -> dict[str, Any]:
    widths = {**_FIXED, **dict.fromkeys(columns, 105), **_NARROW, **_NARROW_TAGS}
    widths |= {columns[0]: 145, "duration": 90}
    return {
        "selectedColumns": ["attributes.`Duration`", *columns],
        "columnOrder": [*_FIXED, *columns, "duration"],
        "columnWidths": widths,
    }


def searches_page(experiment: str) -> str:
    """The address, below the server's, of all searches with their candidates folded in."""
    return f"/#/experiments/{experiment}/runs?{_MODE}&viewStateShareKey=searches"


def search_page(experiment: str, name: str) -> str:
    """The address, below the server's, of one search's candidates, the most accurate first."""
    return f"/#/experiments/{experiment}/runs?{_MODE}&viewStateShareKey=search-{name}"


def run_page(experiment: str, run: str) -> str:
    """The address, below the server's, of one MLflow run."""
    return f"/#/experiments/{experiment}/runs/{run}?{_MODE}"


def short(number: float | None) -> str:
    """Writes 82314 as ``82k``, 1240000 as ``1.2M``; three digits are enough to tell runs apart."""
    if number is None:
        return "?"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * size:
            scaled = number / size
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
    return f"{number:.0f}"


def trial_name(data: Mapping[str, Any]) -> str:
    """Names a candidate's run: ``007 residual 82k``."""
    return f"{data['number']:03d} {data['family']} {short(data.get('params'))}"


def name_of(trial: TrialRecord) -> str:
    """Names a candidate as its run is named."""
    return trial_name({"number": trial.number, "family": trial.family, "params": trial.params})


def note(
    name: str, manifest: Mapping[str, Any], trials: Sequence[TrialRecord], runs: Mapping[str, str]
) -> str:
    """Writes a search's description: what was searched, best so far, how to export it.

    Args:
        name: The run's name.
        manifest: What was asked.
        trials: The candidates so far.
        runs: A link's target for each trial id.
    """
    ranked = rank_trials(trials)
    lines = [f"{_asked(manifest)} {_counted(trials)}", ""]
    if ranked:
        lines += [_best(ranked[0], runs), ""]
        lines += ["```", f"cnnsearch results {name}"]
        lines += [f"cnnsearch export best --run {name} --out exports/{name}"]
        lines += [f"cnnsearch register {name} --run {name} --alias champion", "```", ""]
        what = objective_of(manifest.get("settings")).heading.replace("val ", "val. ")
        lines += [f"| | candidate | {what} | params | multiply-adds | FLOPs |"]
        lines += ["|--:|---|--:|--:|--:|--:|"]
        lines += [_row(place, trial, runs) for place, trial in enumerate(ranked[:5], start=1)]
        front = sum(t in find_pareto_front(trials) for t in ranked)
        lines += ["", f"On the Pareto front of score and multiply-adds: {front}"]
        lines[-1] += " (filter: `tags.pareto = 'true'`)."
    return "\n".join(lines)


def final_note(
    name: str,
    manifest: Mapping[str, Any],
    trials: Sequence[TrialRecord],
    runs: Mapping[str, str],
    tests: Mapping[str, float],
) -> str:
    """Writes a final training's description: each network, each seed, its test accuracy.

    Args:
        name: The run's name.
        manifest: What was asked.
        trials: The trainings so far.
        runs: A link's target for each trial id.
        tests: Test accuracy by trial id.
    """
    asked = manifest["final"]
    head = f"Final training of **{asked['from']}** on **{manifest.get('data')}**: "
    head += f"{asked['epochs']} epochs, {asked['seeds']} seed{'s' * (asked['seeds'] != 1)}. "
    lines = [head + _counted(trials), ""]
    if tests:
        lines += ["```", f"cnnsearch results {name}"]
        lines += [f"cnnsearch export best --run {name} --out exports/{name}", "```", ""]
    lines += ["| | network | seed | test accuracy | params | multiply-adds |"]
    lines += ["|---|---|--:|--:|--:|--:|"]
    return "\n".join([*lines, *(_tested(trial, runs, tests) for trial in trials)])


def _tested(trial: TrialRecord, runs: Mapping[str, str], tests: Mapping[str, float]) -> str:
    link = f"[{trial.values['network']}]({runs[trial.id]})" if trial.id in runs else ""
    share = f"{100 * tests[trial.id]:.2f} %" if trial.id in tests else trial.status
    cells = (trial.values["role"], link or trial.values["network"], trial.values["seed"], share)
    return f"| {' | '.join(map(str, (*cells, short(trial.params), short(trial.macs))))} |"


def _asked(manifest: Mapping[str, Any]) -> str:
    words = [f"Search of **{manifest.get('space', 'a space')}**"]
    for key, before in (("data", "on"), ("strategy", "by")):
        if isinstance(manifest.get(key), str):
            words.append(f"{before} **{manifest[key]}**")
    if manifest.get("seed") is not None:
        words.append(f"(seed {manifest['seed']})")
    words += _limits(manifest)
    if (objective := objective_of(manifest.get("settings"))) != OBJECTIVES[0]:
        words.append(f"for the best **{objective.label}**")
    return " ".join(words) + "."


def _limits(manifest: Mapping[str, Any]) -> list[str]:
    asked = {**(manifest.get("settings") or {}), **manifest}
    limits = (("max_params", "params"), ("max_macs", "multiply-adds"))
    found = [f"{short(asked[k])} {what}" for k, what in limits if isinstance(asked.get(k), int)]
    return [f"within {' and '.join(found)}"] if found else []


def _counted(trials: Sequence[TrialRecord]) -> str:
    parts = []
    for status in ("completed", "failed", "stopped", "running"):
        count = sum(t.status == status for t in trials)
        parts += [f"{count} {status}"] if count or status == "completed" else []
    return f"Candidates: {', '.join(parts)}."


def _best(trial: TrialRecord, runs: Mapping[str, str]) -> str:
    costs = f"{short(trial.params)} params, {short(trial.macs)} multiply-adds"
    return f"Best so far: {_linked(trial, runs)}, **{_percent(trial)}** with {costs}."


def _row(place: int, trial: TrialRecord, runs: Mapping[str, str]) -> str:
    flops = None if trial.macs is None else 2 * trial.macs
    costs = (short(trial.params), short(trial.macs), short(flops))
    return f"| {' | '.join((str(place), _linked(trial, runs), _percent(trial), *costs))} |"


def _linked(trial: TrialRecord, runs: Mapping[str, str]) -> str:
    name = name_of(trial)
    return f"[{name}]({runs[trial.id]})" if trial.id in runs else name


def _percent(trial: TrialRecord) -> str:
    return f"{100 * (trial.score or 0):.2f} %"
