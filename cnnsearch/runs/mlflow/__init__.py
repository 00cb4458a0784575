"""MLflow as a projection of a run's database: followed live, replayed later, looked at in its UI.

MLflow itself is imported by ``store`` only, and not before something is written there: a search
does not wait for that import, and what never tracks never pays for it.
"""

from cnnsearch.runs.mlflow.tracker import Tracker, behind, default_uri, sync
from cnnsearch.runs.mlflow.ui import TrackingUI, show, ui

__all__ = ["Tracker", "TrackingUI", "behind", "default_uri", "show", "sync", "ui"]
