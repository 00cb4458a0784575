"""What a search's MLflow store holds."""

import sqlite3

from cnnsearch.runs import mlflow


def client(run):
    from mlflow import MlflowClient

    uri = mlflow.get_default_uri(run.path.parent)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def mlflow_runs(run):
    """All runs of the store, by name; fails if two have one name."""
    found = client(run).search_runs(["1", "2", "3"], max_results=1000)
    names = [r.info.run_name for r in found]
    assert len(names) == len(set(names)), names
    return {r.info.run_name: r for r in found}


def points(run):
    """All points of the store but their runs' ids: (run name, key, step, value)."""
    query = (
        "select r.name, m.key, m.step, m.value from metrics m join runs r using (run_uuid)"
        " where r.lifecycle_stage = 'active' order by 1, 2, 3, 4"
    )
    db = sqlite3.connect(run.path.parent / "mlflow.db")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def child(run, number):
    return next(r for n, r in mlflow_runs(run).items() if n.startswith(f"{number:03d} "))


SYNC = """
import sys
from pathlib import Path
from cnnsearch.runs import mlflow
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.mlflow import environment
environment.configure_mlflow()
import cnnsearch.runs.mlflow.store
print("go", flush=True)
mlflow.sync(RunDirectory.open(Path(sys.argv[1]), "first"))
"""
