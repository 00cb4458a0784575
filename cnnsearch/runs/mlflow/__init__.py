"""MLflow as a projection of a run's database: followed live, synced later, shown in MLflow's UI.

MLflow takes two seconds to import. Only ``store`` and ``models`` import it, when something is
written: a search does not wait for it, and commands that do not track never pay for it.
"""

from cnnsearch.runs.mlflow.tracker import (
    Tracker,
    count_missing,
    get_default_uri,
    is_following,
    sync,
)
from cnnsearch.runs.mlflow.ui import TrackingUI, open_browser, serve_ui

__all__ = [
    "Tracker", "TrackingUI", "count_missing", "get_default_uri", "is_following", "open_browser",
    "serve_ui", "sync",
]  # fmt: skip
