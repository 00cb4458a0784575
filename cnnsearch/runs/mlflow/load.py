"""System metrics, if MLflow's own switch ``MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=true`` is set.

``MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL`` is the interval in seconds. Samples are events of the
run like any other, so that MLflow gets them later too if its store does not answer now.
"""

import os
from typing import Any

_SWITCH, _EVERY = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"
_SECONDS = 10.0


def is_enabled() -> bool:
    """Returns whether system metrics are switched on."""
    return os.environ.get(_SWITCH, "").lower() in ("true", "1")


def get_interval() -> float:
    """Returns the seconds between two samples: 10 unless a positive number is set."""
    try:
        seconds = float(os.environ.get(_EVERY, ""))
    except ValueError:
        return _SECONDS
    return seconds if seconds > 0 else _SECONDS


class Monitors:
    """MLflow's monitors of CPU, memory, disk and network, and of GPUs if there are any."""

    def __init__(self) -> None:
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

        kinds: list[Any] = [CPUMonitor, DiskMonitor, NetworkMonitor]
        self._monitors = [*(kind() for kind in kinds), *_list_gpu_monitors()]

    def sample(self) -> dict[str, float]:
        """Returns the current values, named as on MLflow's system metrics page."""
        found: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            found |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        return {f"system/{name}": float(value) for name, value in found.items()}


def _list_gpu_monitors() -> list[Any]:
    from mlflow.system_metrics.metrics import gpu_monitor

    kind: Any = gpu_monitor.GPUMonitor
    try:
        return [kind()]
    except Exception:  # no GPU, or no library for it
        return []
