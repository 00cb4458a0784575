"""The export formats: one class in one file each, and one line in ``FORMATS``.

What enters is a trained network (an :class:`~cnnsearch.exporters.formats.base.ExportJob`), what
leaves is a file that its own runtime runs without cnnsearch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cnnsearch.errors import ExportError, suggest
from cnnsearch.exporters.formats.base import ExportFormat
from cnnsearch.exporters.formats.keras import Keras
from cnnsearch.exporters.formats.litert import LiteRT
from cnnsearch.exporters.formats.onnx import Onnx
from cnnsearch.exporters.formats.savedmodel import SavedModel

FORMATS: Final[tuple[ExportFormat, ...]] = (
    SavedModel(),
    Keras(),
    LiteRT(),
    Onnx(),
)
ALL = "all"


@dataclass(frozen=True)
class Target:
    """One file (or folder) to export: a format, and how its weights are stored."""

    format: ExportFormat
    quantize: str = "float32"

    @property
    def file(self) -> str:
        """Its name in the export's folder."""
        return self.format.file(self.quantize)

    @property
    def label(self) -> str:
        """Words for a table."""
        return self.format.label(self.quantize)


def format_names() -> tuple[str, ...]:
    """Returns the words for ``--format``, without ``all``."""
    return tuple(each.name for each in FORMATS)


def quantizations() -> tuple[str, ...]:
    """Returns the words for ``--quantize``."""
    return tuple(dict.fromkeys(kind for each in FORMATS for kind in each.quantizations))


def find_format(name: str) -> ExportFormat:
    """Returns the format of that name.

    Raises:
        ExportError: there is none.
    """
    for each in FORMATS:
        if each.name == name:
            return each
    raise ExportError(f"there is no format {name!r}{_hint(name, format_names())}")


def recognize(path: Path) -> ExportFormat | None:
    """Returns the format of a file or folder; None: it looks like none of them."""
    return next((each for each in FORMATS if each.recognizes(path)), None)


def parse_targets(formats: str, quantize: str | None) -> tuple[Target, ...]:
    """Returns the files that the flags request; both take several words, separated by commas.

    Raises:
        ExportError: a word is unknown, or a requested format cannot be quantized.
    """
    wanted = _split(formats, (*format_names(), ALL), "--format")
    kinds = _split(quantize or "float32", quantizations(), "--quantize")
    every = ALL in wanted
    chosen = [each for each in FORMATS if every or each.name in wanted]
    fixed = [each.title for each in chosen if not set(kinds) & set(each.quantizations)]
    if fixed and not every:
        able = " and ".join(each.title for each in FORMATS if len(each.quantizations) > 1)
        raise ExportError(
            f"--quantize {quantize}: {' and '.join(fixed)} cannot be quantized; {able} can"
        )
    return tuple(
        Target(each, kind)
        for each in chosen
        for kind in each.quantizations
        if kind in kinds or len(each.quantizations) == 1
    )


def _split(text: str, known: tuple[str, ...], flag: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise ExportError(f"{flag} {text}: there is no {word!r}{_hint(word, known)}")
    return words


def _hint(word: str, known: tuple[str, ...]) -> str:
    return suggest(word, known) or f": it is one of {', '.join(known)}"
