"""What an export computes when a fresh process loads it, and how sure a measured accuracy is."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cnnsearch.errors import ExportError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Reloaded:
    """What a fresh process got from an export.

    Attributes:
        probabilities: of classes, float32 (N, classes).
        latency_ms: median of many calls.
    """

    probabilities: "npt.NDArray[np.float32]"
    latency_ms: float


def reloaded(model: Path, images: Path, environment: Mapping[str, str] | None = None) -> Reloaded:
    """Loads an export in a fresh process and asks it about images.

    Args:
        model: the SavedModel, or a .keras, .tflite or .onnx file.
        images: an .npy file of uint8 (N, H, W, C).
        environment: of the process.

    Raises:
        ExportError: it cannot be loaded or run.
    """
    import numpy as np

    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "probabilities.npy"
        command = [sys.executable, "-m", "cnnsearch.exporters.runtimes", model, images, out]
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            check=False,
            env=None if environment is None else dict(environment),
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise ExportError(f"the export {model.name} cannot be loaded again: {last}")
        told = json.loads(done.stdout.strip().splitlines()[-1])
        return Reloaded(np.load(out, allow_pickle=False), told["latency_ms"])


def wilson(correct: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Returns the Wilson score interval of a proportion, 95 % by default (Wilson, 1927)."""
    share = correct / total
    centre = share + z * z / (2 * total)
    spread = z * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5
    scale = 1 + z * z / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
