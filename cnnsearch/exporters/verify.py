"""Reloads an export in a fresh process and compares its answers with the Keras model's."""

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from cnnsearch.errors import ExportError
from cnnsearch.exporters.formats import Target
from cnnsearch.exporters.results import VerifiedFormat
from cnnsearch.training.metrics import compute_class_metrics, compute_wilson_interval
from cnnsearch.utils import environment
from cnnsearch.utils.subprocesses import run_module

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TOLERANCES: Final = MappingProxyType({"float32": 1e-4, "float16": 2e-2})
"""The largest difference between two probabilities that still counts as the same function.

8-bit weights compute another function, which is accepted by its accuracy alone.
"""
MAX_ACCURACY_LOSS = 0.01
"""The accuracy that an export may lose; one image it may always lose."""


def reload(target: Target, model: Path, images: Path) -> tuple["npt.NDArray[np.float32]", float]:
    """Loads an export in a fresh process; returns its probabilities (N, classes) and latency in ms.

    Args:
        target: its format.
        model: the file or folder.
        images: an .npy file of uint8 (N, H, W, C).

    Raises:
        ExportError: it cannot be loaded or run.
    """
    import numpy as np

    out = images.with_name("probabilities.npy")
    measured = run_module(
        *("cnnsearch.exporters.reload", target.format.name, model, images, out),
        fail=lambda why: ExportError(f"the export {model.name} cannot be loaded again: {why}"),
        environment={"KERAS_BACKEND": target.format.backend or environment.get_backend()},
    )
    return np.load(out, allow_pickle=False), measured["latency_ms"]


def compare(
    target: Target, path: Path, answers: Any, latency_ms: float, expected: Any, labels: Any,
    batch: int,
) -> VerifiedFormat:  # fmt: skip
    """Compares an export's probabilities with the Keras model's.

    Args:
        target: its format.
        path: the file or folder.
        answers: its probabilities, float (N, classes).
        latency_ms: of one call.
        expected: the Keras model's probabilities, float (N, classes).
        labels: int (N,).
        batch: images in the timed call.

    Raises:
        ExportError: it computes something else.
    """
    import numpy as np

    if answers.shape != expected.shape or not np.isfinite(answers).all():
        raise ExportError(
            f"{target.label}: its probabilities have shape {answers.shape}, the Keras model's "
            f"{expected.shape}, or are not numbers; nothing was left behind"
        )
    predicted, before = answers.argmax(axis=1), expected.argmax(axis=1)
    result = VerifiedFormat(
        format=target.format.name,
        quantize=target.quantize,
        file=target.file,
        bytes=measure_size(path),
        largest_difference=float(np.abs(answers - expected).max()),
        agreement=float((predicted == before).mean()),
        test_accuracy=float((predicted == labels).mean()),
        latency_ms=latency_ms,
        batch=batch,
    )
    _check(target, result, float((before == labels).mean()), len(labels))
    return result


def _check(target: Target, result: VerifiedFormat, accuracy: float, images: int) -> None:
    tolerance = TOLERANCES.get(target.quantize)
    if tolerance is not None and not result.largest_difference <= tolerance:
        raise ExportError(
            f"{target.label}: the reloaded export differs from its Keras model by "
            f"{result.largest_difference:.2g} on {images} images, more than {tolerance:g}; "
            "nothing was left behind"
        )
    if accuracy - result.test_accuracy > max(MAX_ACCURACY_LOSS, 1 / images) + 1e-9:
        raise ExportError(
            f"{target.label}: accuracy falls from {accuracy:.2%} to {result.test_accuracy:.2%} on "
            f"{images} images, by more than {MAX_ACCURACY_LOSS:.0%}; nothing was left behind"
        )


def compute_test_metrics(probabilities: Any, labels: "npt.NDArray[np.int32]") -> dict[str, Any]:
    """Returns accuracy with its 95 % interval, balanced accuracy and macro F1."""
    predicted = probabilities.argmax(axis=1)
    correct = int((predicted == labels).sum())
    return {
        **compute_class_metrics(labels, predicted, "test_"),
        "test_accuracy_interval": list(compute_wilson_interval(correct, len(labels))),
        "test_images": len(labels),
    }


def measure_size(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
