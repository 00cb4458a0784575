"""Logs and registers a SavedModel in MLflow, with a signature and an input example.

Imports MLflow: import this module where it is needed, after ``configure_mlflow``. All functions
raise TrackingError if the store does not answer or rejects a request.
"""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow.pyfunc
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from numpy import dtype

from cnnsearch.runs.mlflow import served
from cnnsearch.runs.mlflow.store import Refused, Store

_NEEDED = ("mlflow", "tensorflow", "numpy", "pandas")


@dataclass(frozen=True)
class Served:
    """A SavedModel to log.

    Attributes:
        folder: of the SavedModel.
        classes: class names, in the order of the outputs.
        example: uint8 images (1, height, width, channels).
        params: MLflow parameters of the model.
    """

    folder: Path
    classes: Sequence[str]
    example: Any
    params: Mapping[str, str]


def find_version(store: Store, name: str, run: str) -> str | None:
    """Returns the latest version under ``name`` from this MLflow run, or None."""
    query = f"name = '{name}' and run_id = '{run}'"
    found = store.call(lambda client: client.search_model_versions(query))
    return max((str(v.version) for v in found), key=int, default=None)


def log_model(store: Store, experiment: str, run: str, name: str, model: Served) -> str:
    """Logs the model of a run and returns its id."""
    facts: Any = {"params": dict(model.params), "model_type": "classifier"}
    made = store.call(lambda client: client.create_logged_model(experiment, name, run, **facts))
    key = str(made.model_id)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _save(Path(folder) / "model", model, Model(run_id=run, model_id=key))
            path = str(Path(folder) / "model")
            store.call(lambda client: client.log_model_artifacts(key, path))
        store.call(lambda client: client.finalize_logged_model(key, "READY"))
        store.call(lambda client: client.log_outputs(run, [LoggedModelOutput(key, 0)]))
    except BaseException:
        store.call(lambda client: client.finalize_logged_model(key, "FAILED"))
        raise
    return key


def register_model(store: Store, name: str, run: str, model: str, about: str) -> str:
    """Registers a logged model under ``name`` and returns its version."""
    try:
        store.call(lambda client: client.create_registered_model(name))
    except Refused as error:
        if "already exists" not in str(error):
            raise
    # Not "models:/ID": MLflow would look that up in the default store of the process.
    source = store.call(lambda client: client.get_logged_model(model)).artifact_location
    facts: Any = {"description": about, "model_id": model}
    made = store.call(lambda client: client.create_model_version(name, source, run, **facts))
    return str(made.version)


def set_alias(store: Store, name: str, alias: str, version: str) -> None:
    """Points an alias to a version."""
    store.call(lambda client: client.set_registered_model_alias(name, alias, version))


def _save(path: Path, model: Served, entry: Model) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that type hints are missing: the signature is given
        mlflow.pyfunc.save_model(
            path,
            python_model=served.__file__,
            artifacts={"model": str(model.folder)},
            signature=_make_signature(model),
            input_example=model.example,
            pip_requirements=[f"{name}=={metadata.version(name)}" for name in _NEEDED],
            mlflow_model=entry,
        )


def _make_signature(model: Served) -> ModelSignature:
    channels = model.example.shape[-1]
    images = TensorSpec(dtype("uint8"), (-1, -1, -1, channels))
    shares: list[ColSpec | TensorSpec] = [ColSpec(DataType.double, n) for n in model.classes]
    return ModelSignature(Schema([images]), Schema(shares))
