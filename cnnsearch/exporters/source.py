"""The source of an export: a run's trial, its weights, recorded facts, and images to verify on."""

import re
from collections.abc import Sequence
from typing import Any

from cnnsearch.architecture.costs import read_costs
from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.engine.run_data import load_data
from cnnsearch.engine.run_manifest import read_settings
from cnnsearch.errors import CnnsearchError, DataError, ExportError, RunError, suggest
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import find_best_trial
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training import checkpoint
from cnnsearch.training.checkpoint import BEST
from cnnsearch.training.objectives import objective_of
from cnnsearch.utils import environment

PACKAGES = ("cnnsearch", "keras", "tensorflow", "jax", "numpy", "onnx", "onnxruntime",
            "ai-edge-litert")  # fmt: skip
_MLFLOW_ID = re.compile(r"[0-9a-f]{32}")


def choose_trial(run: RunDirectory, which: str) -> TrialRecord:
    """Returns the finished trial that ``which`` names.

    Args:
        run: where it was trained.
        which: ``best``, its id, or ``RUN:TRIAL``.

    Raises:
        ExportError: no trial is finished, or not this one.
    """
    name, colon, rest = which.rpartition(":")
    if colon and name != run.name:
        raise ExportError(
            f"{which}: belongs to run {name!r}, not {run.name!r}: choose it with --run"
        )
    which = rest if colon else which
    trials, best = run.db.get_trials(), find_best_trial(run)
    if best is None:
        raise ExportError(f"run {run.name!r} has no finished trial to export")
    if which == "best":
        return best
    found = {t.id: t for t in trials if t.score is not None}
    wanted = which if which in found else which.zfill(len(best.id))
    if wanted not in found:
        hint = suggest(wanted, found) or f" (the best is {best.id})"
        if _MLFLOW_ID.fullmatch(which):
            hint = f": that is an MLflow run's id, not a trial's{hint}"
        raise ExportError(f"run {run.name!r} has no finished trial {which!r}{hint}")
    return found[wanted]


def check_weights(run: RunDirectory, trial: TrialRecord) -> None:
    """Checks that a trial's checkpoint can be read.

    Raises:
        ExportError: it cannot; names the file, and the next best trial that can be exported.
    """
    why = _explain_unreadable(run, trial)
    if why is None:
        return
    others = [t for t in run.db.get_trials() if t.score is not None and t.id != trial.id]
    others.sort(key=lambda t: -(t.score or 0.0))
    other = next((t for t in others if _explain_unreadable(run, t) is None), None)
    advice = "no other trial's weights can be read either"
    if other is not None:
        advice = f"the next best is {other.id}: cnnsearch export {other.id} --run {run.name}"
    raise ExportError(f"trial {trial.id}: its weights cannot be read: {why}; {advice}")


def _explain_unreadable(run: RunDirectory, trial: TrialRecord) -> str | None:
    path = run.path / "trials" / trial.id / BEST
    try:
        found = checkpoint.read(path)
    except CnnsearchError as error:
        return str(error)
    if found is None:
        return f"{path} does not exist (checkpoints are deleted when --max-disk is reached)"
    if len(found.header.get("paths", ())) != len(found.arrays):
        return f"{path}: does not hold the weights of a model"
    return None


def open_dataset(run: RunDirectory) -> Dataset:
    """Returns the dataset that a run was trained on.

    Raises:
        ExportError: it cannot be loaded.
        RunError: it has changed since the search.
    """
    settings = read_settings(run)
    space = SearchSpace.from_text(run.space_text, settings.source)
    try:
        dataset = load_data(settings, space, run.path.parent)
    except DataError as error:
        raise ExportError(f"exports are verified on real images, but {error}") from None
    if dataset.fingerprint != run.manifest["dataset"]["fingerprint"]:
        raise RunError(f"run {run.name!r}: {dataset.source} has changed since the search")
    return dataset


def select_verification_split(dataset: Dataset) -> Split:
    """Returns the test split; the validation split if the dataset has no test split."""
    return dataset.test if dataset.test.count else dataset.validation


def collect_facts(
    run: RunDirectory, trial: TrialRecord, image: Sequence[int], batch: int | None, any_size: bool
) -> dict[str, Any]:
    """Returns the facts that every export carries: plain data from the run's own records."""
    data = run.manifest["dataset"]
    versions = {name: environment.get_version(name) for name in PACKAGES}
    return {
        "run": run.name,
        "trial": trial.id,
        "kind": run.manifest.get("kind", "search"),
        "class_names": list(data["class_names"]),
        "input": [*image, data["channels"]],
        "any_size": any_size,
        "batch": batch,
        "output": "class probabilities (batch, classes), in the order of class_names",
        "architecture": dict(trial.architecture),
        "recipe": dict(trial.recipe),
        "objective": objective_of(run.manifest.get("settings", {})).name,
        "metrics": {k: v for k, v in trial.metrics.items() if isinstance(v, int | float)},
        **{name: getattr(trial, name) for name in ("score", "params_total")},
        **read_costs(trial),
        "mlflow_run_id": find_mlflow_run(run, trial),
        "versions": {name: found for name, found in versions.items() if found},
        "environment": environment.describe_environment(),
    }


def find_mlflow_run(run: RunDirectory, trial: TrialRecord) -> str | None:
    """Returns the id of the trial's MLflow run, or None."""
    from cnnsearch.runs.mlflow.tracker import EXPERIMENT, name_cursor

    uri = run.manifest.get("settings", {}).get("mlflow_uri")
    return run.db.open_mapping(name_cursor(uri, EXPERIMENT)).get(f"trial {trial.id}")
