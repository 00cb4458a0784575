"""How busy the machine is, as MLflow's own monitors see it, when MLflow's own switch asks for it.

``MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=true`` asks, ``MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL`` says
how often, in seconds. What is seen becomes an event of the run like any other, so that MLflow gets
it later too, when its store does not answer now.
"""

import os
from typing import Any

from cnnsearch.errors import TrackingError

_SWITCH, _EVERY = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"
_SECONDS = 10.0


def asked() -> bool:
    """Whether system metrics are asked for."""
    return os.environ.get(_SWITCH, "").lower() in ("true", "1")


def interval() -> float:
    """Returns the seconds between two samples, 10 unless something else above 0 is set."""
    try:
        seconds = float(os.environ.get(_EVERY, ""))
    except ValueError:
        return _SECONDS
    return seconds if seconds > 0 else _SECONDS


class Monitors:
    """MLflow's monitors of processors, memory, disk, network, and of GPUs where there are any."""

    def __init__(self) -> None:
        """Begins to count.

        Raises:
            TrackingError: If psutil is missing, which MLflow needs for this.
        """
        try:
            from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
            from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
            from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
        except ImportError:
            raise TrackingError(
                f"{_SWITCH}: system metrics need psutil: pip install psutil"
            ) from None
        kinds: list[Any] = [CPUMonitor, DiskMonitor, NetworkMonitor]
        self._monitors = [*(kind() for kind in kinds), *_gpus()]

    def sample(self) -> dict[str, float]:
        """Returns what they see now, under the names of MLflow's system metrics page."""
        found: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            found |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        return {f"system/{name}": float(value) for name, value in found.items()}


def _gpus() -> list[Any]:
    from mlflow.system_metrics.metrics import gpu_monitor

    kind: Any = gpu_monitor.GPUMonitor
    try:
        return [kind()]
    except Exception:  # neither a GPU nor the library that asks it
        return []
