"""Registers a candidate in MLflow's model registry, from where it can be served."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnsearch.errors import TrackingError
from cnnsearch.exporters.pipeline import export
from cnnsearch.exporters.source import open_dataset, select_verification_split
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import find_trial
from cnnsearch.runs.mlflow import count_missing, get_default_uri, sync
from cnnsearch.runs.mlflow.environment import configure_mlflow
from cnnsearch.runs.mlflow.tracker import EXPERIMENT, name_cursor
from cnnsearch.runs.records import TrialRecord

_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,255}")
_NAME = re.compile(r"[^/:'\"`%\x00-\x1f]{1,250}")


@dataclass(frozen=True)
class RegisteredModel:
    """A version of a registered model.

    Attributes:
        name: the registered model's.
        version: its version, counted by MLflow.
        alias: that points to this version now, if any.
        run: the cnnsearch run.
        trial: the candidate's id.
        mlflow_run: the candidate's MLflow run.
        tracking_uri: the store that holds it.
        uri: its URI in MLflow: ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
        new: False if this candidate was already registered under this name.
    """

    name: str
    version: str
    alias: str | None
    run: str
    trial: str
    mlflow_run: str
    tracking_uri: str
    uri: str
    new: bool


def register(
    run: RunDirectory,
    name: str,
    *,
    which: str = "best",
    alias: str | None = None,
    mlflow_uri: str | None = None,
) -> RegisteredModel:
    """Exports a candidate, logs it as an MLflow model and registers it.

    The model takes uint8 images (batch, any height, any width, channels) and returns a column of
    probabilities per class. A candidate that is already registered only gets the alias.

    Args:
        run: where the candidate was trained.
        name: of the registered model; created if it does not exist.
        which: ``best`` or a trial's id.
        alias: of this version; moved here if another version had it.
        mlflow_uri: the store; None: the run's.

    Raises:
        TrackingError: MLflow does not accept the name, or the store does not respond.
        ExportError: no trial is finished, or the export computes something else.
    """
    _check_names(name, alias)
    trial = find_trial(run, which)
    uri = mlflow_uri or _read_uri(run)
    store, child = _track(run, trial, uri)
    from cnnsearch.runs.mlflow import models

    before = models.find_version(store, name, child)
    experiment = run.db.open_mapping(name_cursor(uri, EXPERIMENT))["experiment"]
    version = before or _register_version(run, trial, store, (experiment, child), name)
    if alias:
        models.set_alias(store, name, alias, version)
    return RegisteredModel(
        name=name,
        version=version,
        alias=alias,
        run=run.name,
        trial=trial.id,
        mlflow_run=child,
        tracking_uri=uri or get_default_uri(run.path.parent),
        uri=f"models:/{name}@{alias}" if alias else f"models:/{name}/{version}",
        new=before is None,
    )


def _check_names(name: str, alias: str | None) -> None:
    if not _NAME.fullmatch(name) or name != name.strip():
        raise TrackingError(
            f"NAME {name!r}: a registered model's name has 1 to 250 characters, no slash, colon, "
            "quote or percent sign, and no space at its ends"
        )
    if alias is None:
        return
    if not _ALIAS.fullmatch(alias):
        raise TrackingError(
            f"--alias {alias!r}: must be 1 to 255 letters, digits, underscores and dashes"
        )
    if alias.lower() == "latest" or re.fullmatch(r"[vV]\d+", alias):
        raise TrackingError(f"--alias {alias!r}: reserved by MLflow, as latest, v1, v2, ... are")


def _track(run: RunDirectory, trial: TrialRecord, uri: str | None) -> tuple[Any, str]:
    """Returns the MLflow store and the candidate's MLflow run, after a sync if it is missing."""
    runs = run.db.open_mapping(name_cursor(uri, EXPERIMENT))
    if run.owner is None and (
        count_missing(run, uri) or f"trial {trial.id}" not in runs or not uri
    ):
        sync(run, uri)
    if f"trial {trial.id}" not in runs:
        raise TrackingError(f"trial {trial.id} of run {run.name!r} is not in MLflow yet")
    configure_mlflow()
    from cnnsearch.runs.mlflow.store import Store

    return Store(uri or get_default_uri(run.path.parent)), runs[f"trial {trial.id}"]


def _register_version(
    run: RunDirectory, trial: TrialRecord, store: Any, place: tuple[str, str], name: str
) -> str:
    """Registers the candidate whose experiment and run are ``place``; returns the version."""
    from cnnsearch.runs.mlflow import models

    with tempfile.TemporaryDirectory() as folder:
        done = export(run, trial.id, Path(folder) / "model")
        model = next(Path(done.path).rglob("saved_model.pb")).parent
        classes = run.manifest["dataset"]["class_names"]
        (model / "class_names.txt").write_text("\n".join(classes) + "\n", "utf-8")
        params = {"run": run.name, "trial": trial.id, "fingerprint": trial.fingerprint}
        served = models.Served(model, classes, _read_example(run), params)
        logged = models.log_model(store, *place, name, served)
    about = (
        f"Candidate {trial.id} of run {run.name}, {done.split} accuracy {done.test_accuracy:.2%}"
    )
    about += f" on {done.test_images:,} images"
    return models.register_model(store, name, place[1], logged, about)


def _read_uri(run: RunDirectory) -> str | None:
    uri = (run.manifest.get("settings") or {}).get("mlflow_uri")
    return str(uri) if uri else None


def _read_example(run: RunDirectory) -> Any:
    """Returns a real image, uint8 (1, height, width, channels)."""
    import numpy as np

    return select_verification_split(open_dataset(run)).read(np.arange(1))
