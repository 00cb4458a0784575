"""Texts in a drawing, and the space they need."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cnnsearch.architecture.wiring import Step

TIMES = "\N{MULTIPLICATION SIGN}"
CHARACTER = 0.0093
"""Width of a character in inches a point of font size, on the wide side for DejaVu Sans."""
BOX_FONT, SHAPE_FONT, TITLE_FONT, HEADLINE_FONT = 7.5, 6.5, 8.0, 13.0

SYMBOLS: Final[Mapping[str, str]] = MappingProxyType({"add": "+", "multiply": TIMES})
_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "depthwise_conv": "depthwise",
        "norm": "",
        "batch": "batch norm",
        "layer": "layer norm",
        "affine": "channel scale",
        "rbf": "radial basis",
        "input": "image",
    }
)


def box_text(step: Step) -> str:
    """Returns the text in a step's box: ``conv 3x3 /2``."""
    name = SYMBOLS.get(step.kind) or _NAMES.get(step.kind, step.kind.replace("_", " "))
    detail = _NAMES.get(step.detail, step.detail)
    return typeset(f"{name} {detail}".strip())


def typeset(text: str) -> str:
    """Returns ``text`` with the sign of multiplication between numbers and a real ellipsis."""
    return re.sub(r"(?<=\d)x(?=\d)", TIMES, text).replace("...", "\N{HORIZONTAL ELLIPSIS}")


def text_width(text: str, font: float) -> float:
    """Returns an upper estimate of the width of ``text`` in inches."""
    return len(text) * font * CHARACTER
