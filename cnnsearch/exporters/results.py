"""What an export and its verification found."""

from collections.abc import Sequence
from dataclasses import dataclass

from cnnsearch.exporters.formats import find_format

FEW_IMAGES = 200
"""Verification on fewer images proves less, and says so."""
COLUMNS = (
    "format",
    "file",
    "size",
    "accuracy",
    "change",
    "max. difference",
    "same class",
    "latency",
)
"""Of the table that :func:`table_rows` fills."""


@dataclass(frozen=True)
class VerifiedFormat:
    """One exported file, reloaded in a fresh process with its own runtime and compared.

    Attributes:
        format: savedmodel, keras, litert or onnx.
        quantize: float32, float16, dynamic or int8.
        file: inside the export's folder.
        bytes: size on disk.
        largest_difference: of any class probability between the export and the Keras model.
        agreement: share of images for which both predict the same class.
        test_accuracy: of the export.
        latency_ms: median of one call with ``batch`` images.
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


@dataclass(frozen=True)
class ExportResult:
    """An export whose every format was reloaded in a fresh process and compared.

    Attributes:
        path: the folder.
        format: the formats, separated by commas.
        trial: the candidate's id.
        compared: real images compared.
        split: where they are from: test, or validation if there is no test split.
        largest_difference: of any class probability between a format that is not quantized and the
            Keras model; of the quantized ones if there is no other.
        test_accuracy: share of the images of ``split`` that the Keras model classifies correctly.
        test_images: how many those are.
        interval: 95 % Wilson score interval of ``test_accuracy``.
        bytes: size on disk.
        latency_ms: of the Keras model, compiled, for one image.
        formats: each file.
    """

    path: str
    format: str
    trial: str
    compared: int
    split: str
    largest_difference: float
    test_accuracy: float
    test_images: int
    interval: tuple[float, float]
    bytes: int
    latency_ms: float
    formats: tuple[VerifiedFormat, ...]

    @property
    def caution(self) -> str:
        """A sentence if there were few images to verify on, else nothing."""
        if self.compared >= FEW_IMAGES:
            return ""
        return (
            f"Only {self.compared} images to verify on (fewer than {FEW_IMAGES}): on others the "
            "formats may differ more, and the accuracy is uncertain."
        )


def table_rows(result: ExportResult) -> Sequence[Sequence[str]]:
    """Returns the Keras model and each format beside it, as text by ``COLUMNS``."""
    before = result.test_accuracy
    memory = ("Keras model", "(in memory)", "", f"{before:.2%}", "", "", "")
    return [(*memory, f"{result.latency_ms:.2f} ms")] + [
        (
            find_format(each.format).label(each.quantize),
            each.file,
            f"{each.bytes / 1e6:.3f} MB",
            f"{each.test_accuracy:.2%}",
            f"{100 * (each.test_accuracy - before):+.2f}",
            f"{each.largest_difference:.1e}",
            f"{each.agreement:.2%}",
            f"{each.latency_ms:.2f} ms" + ("" if each.batch == 1 else f" for {each.batch}"),
        )
        for each in result.formats
    ]
