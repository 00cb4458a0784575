"""Asks an export in a fresh process, and judges its answers by those of the Keras model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from cnnsearch.errors import ExportError
from cnnsearch.exporters.formats import Target
from cnnsearch.exporters.reload import Reloaded, wilson
from cnnsearch.training.metrics import class_scores

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TOLERANCES: Final = MappingProxyType({"float32": 1e-4, "float16": 2e-2})
"""The largest difference between two probabilities that still counts as the same function.

Whole numbers of 8 bits compute another function, which is judged by its accuracy alone.
"""
LOSS = 0.01
"""The share of images that an export may tell worse than the Keras model; one image it always may.
"""


@dataclass(frozen=True)
class Verified:
    """A format that was reloaded in a fresh process with its own runtime, and compared.

    Attributes:
        format: savedmodel, keras, litert or onnx.
        quantize: float32, float16, dynamic or int8.
        file: inside the export's folder.
        bytes: size on disk.
        largest_difference: of any class probability between the export and the Keras model.
        agreement: share of images of which both say the same class.
        test_accuracy: of the export.
        latency_ms: median of one call, ``batch`` images.
        batch: images in that call.
    """

    format: str
    quantize: str
    file: str
    bytes: int
    largest_difference: float
    agreement: float
    test_accuracy: float
    latency_ms: float
    batch: int


def compared(
    target: Target, path: Path, found: Reloaded, before: Any, labels: Any, batch: int
) -> Verified:
    """Compares what an export answered with what the Keras model did.

    Args:
        target: what it is.
        path: the file or folder.
        found: the export's answers to all images.
        before: the Keras model's, float (N, classes).
        labels: int (N,).
        batch: images in a timed call.

    Raises:
        ExportError: it computes something else.
    """
    import numpy as np

    after = found.probabilities
    if after.shape != before.shape or not np.isfinite(after).all():
        raise ExportError(
            f"{target.label}: its answers have shape {after.shape}, the Keras model's "
            f"{before.shape}, or are not numbers; nothing was left behind"
        )
    said, meant = after.argmax(axis=1), before.argmax(axis=1)
    result = Verified(
        format=target.format,
        quantize=target.quantize,
        file=target.file,
        bytes=size_of(path),
        largest_difference=float(np.abs(after - before).max()),
        agreement=float((said == meant).mean()),
        test_accuracy=float((said == labels).mean()),
        latency_ms=found.latency_ms,
        batch=batch,
    )
    _judge(target, result, float((meant == labels).mean()), len(labels))
    return result


def _judge(target: Target, found: Verified, before: float, images: int) -> None:
    allowed = TOLERANCES.get(target.quantize)
    if allowed is not None and not found.largest_difference <= allowed:
        raise ExportError(
            f"{target.label}: the reloaded export differs from its Keras model by "
            f"{found.largest_difference:.2g} on {images} images, more than {allowed:g}; "
            "nothing was left behind"
        )
    if before - found.test_accuracy > max(LOSS, 1 / images) + 1e-9:
        raise ExportError(
            f"{target.label}: accuracy falls from {before:.2%} to {found.test_accuracy:.2%} on "
            f"{images} images, by more than {LOSS:.0%}; nothing was left behind"
        )


def test_metrics(probabilities: Any, labels: "npt.NDArray[np.int32]") -> dict[str, Any]:
    """Returns accuracy with its 95 % interval, balanced accuracy and macro F1."""
    answers = probabilities.argmax(axis=1)
    correct = int((answers == labels).sum())
    balanced, f1 = class_scores(labels, answers)
    return {
        "test_accuracy": correct / len(labels),
        "test_accuracy_interval": list(wilson(correct, len(labels))),
        "test_balanced_accuracy": balanced,
        "test_macro_f1": f1,
        "test_images": len(labels),
    }


def size_of(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    files: Sequence[Path] = [path] if path.is_file() else list(path.rglob("*"))
    return sum(file.stat().st_size for file in files if file.is_file())
