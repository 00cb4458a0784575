"""Pictures of architectures: blocks, branches and tensor shapes."""

from pathlib import Path

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.architecture.drawing.layout import place_part
from cnnsearch.architecture.drawing.page import Page, lay_out
from cnnsearch.architecture.drawing.parts import split_parts
from cnnsearch.architecture.drawing.words import TIMES
from cnnsearch.errors import CnnsearchError
from cnnsearch.utils.units import format_amount

__all__ = ["FORMATS", "draw", "page_of", "render_svg"]

FORMATS = ("svg", "png")
_FITTING = "max-width:100%;height:auto"


def page_of(architecture: Architecture) -> Page:
    """Returns the positions of everything in the drawing of a network.

    Raises:
        ArchitectureError: it cannot be wired; names the place and the rule.
    """
    return lay_out([place_part(part) for part in split_parts(architecture)])


def draw(architecture: Architecture, out: str | Path) -> Path:
    """Draws a network: every block, branch and shape; blocks that repeat are drawn once.

    Args:
        architecture: what to draw.
        out: the file to write, ``.svg`` or ``.png``.

    Returns:
        The file.

    Raises:
        CnnsearchError: the extension is neither, the file cannot be written, or the network cannot
            be wired.
    """
    path = Path(out)
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise CnnsearchError(f"--out {path}: expected a name that ends with .svg or .png")
    picture = _paint(architecture, form)
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise CnnsearchError(f"--out {path}: cannot be written: {error.strerror}") from None
    return path


def render_svg(architecture: Architecture) -> str:
    """Returns the drawing as the text of an SVG element, to stand in a page.

    Raises:
        ArchitectureError: the network cannot be wired.
    """
    text = _paint(architecture, "svg").decode("utf-8")
    return text[text.index("<svg") :].replace("<svg", f'<svg style="{_FITTING}"', 1)


def _paint(architecture: Architecture, form: str) -> bytes:
    from cnnsearch.architecture.drawing.picture import encode, paint

    cost = count(architecture)
    page = page_of(architecture)
    size = TIMES.join(map(str, architecture.input))
    subline = (
        f"{size} to {architecture.classes} classes, {format_amount(cost.params)} params, "
        f"{format_amount(cost.macs)} MACs"
    )
    return encode(paint(page, architecture.name or "network", subline), form)
