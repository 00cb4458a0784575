"""What an export computes when a fresh process loads it, and how sure a measured accuracy is."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cnnsearch.errors import ExportError
from cnnsearch.utils.subprocesses import run_module

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
        environment: variables to set in the process beside those of this one.

    Raises:
        ExportError: it cannot be loaded or run.
    """
    import numpy as np

    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "probabilities.npy"
        measured = run_module(
            *("cnnsearch.exporters.runtimes", model, images, out),
            fail=lambda why: ExportError(f"the export {model.name} cannot be loaded again: {why}"),
            environment=environment,
        )
        return Reloaded(np.load(out, allow_pickle=False), measured["latency_ms"])


def wilson(correct: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Returns the Wilson score interval of a proportion, 95 % by default (Wilson, 1927)."""
    share = correct / total
    centre = share + z * z / (2 * total)
    spread = z * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5
    scale = 1 + z * z / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
