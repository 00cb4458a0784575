"""What an export computes when a fresh process loads it, and how sure a measured accuracy is."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cnnsearch.data.dataset import Split
from cnnsearch.errors import ExportError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def reloaded_outputs(folder: Path, split: Split) -> "npt.NDArray[np.float32]":
    """Returns the class probabilities that a fresh process gets from the export.

    Args:
        folder: the SavedModel.
        split: the images to ask about.

    Returns:
        float32 (N, classes).

    Raises:
        ExportError: it cannot be loaded or run.
    """
    import numpy as np

    from cnnsearch.data.rows import write_images

    with tempfile.TemporaryDirectory() as temporary:
        given, answers = Path(temporary) / "images.npy", Path(temporary) / "probabilities.npy"
        write_images(split, given)
        command = [sys.executable, "-m", "cnnsearch.serving", folder, given, answers]
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ExportError(f"the export cannot be loaded again: {last}")
        outputs: npt.NDArray[np.float32] = np.load(answers)
    return outputs


def wilson(correct: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Returns the Wilson score interval of a proportion, 95 % by default (Wilson, 1927)."""
    share = correct / total
    centre = share + z * z / (2 * total)
    spread = z * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5
    scale = 1 + z * z / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
