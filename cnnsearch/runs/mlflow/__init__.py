"""MLflow as a projection of a run's database: followed live, replayed later, looked at in its UI.

MLflow itself is imported by ``store`` only, and not before something is written there: a search
does not wait for that import, and what never tracks never pays for it.
"""

from cnnsearch.runs.mlflow.tracker import Tracker, count_missing, get_default_uri, sync
from cnnsearch.runs.mlflow.ui import TrackingUI, open_browser, serve_ui

__all__ = [
    "Tracker", "TrackingUI", "count_missing", "get_default_uri", "open_browser", "serve_ui", "sync",
]  # fmt: skip
