"""Paints a page with matplotlib, as SVG or PNG."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from cnnsearch.architecture.drawing.layout import LABEL, Box, Point
from cnnsearch.architecture.drawing.page import PADDING, Page, Piece
from cnnsearch.architecture.drawing.words import (
    BOX_FONT,
    HEADLINE_FONT,
    SHAPE_FONT,
    SYMBOLS,
    TIMES,
    TITLE_FONT,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

INK, LINE, FRAME, SHEET = "#1b1f24", "#59626d", "#c3cad2", "#f6f8fa"
# Okabe & Ito's colour-blind-safe palette, lightened so that black text is legible.
COLORS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "convolution": ("#a9d6f5", ("conv",)),
        "depthwise convolution": ("#5f9ec9", ("depthwise_conv",)),
        "pooling": ("#f3c366", ("max_pool", "avg_pool", "global_avg_pool", "global_max_pool")),
        "normalization": ("#f6ee9d", ("norm", "local_response_norm", "affine")),
        "join": ("#85ccb2", ("concat", "add", "mean", "multiply")),
        "dense": ("#e0add0", ("dense", "rbf")),
        "other": ("#dde1e6", ()),
    }
)
MARGIN, HEADLINE, LEGEND = 0.3, 0.62, 0.42
DPI = 150
LARGEST = 60000


def paint(page: Page, headline: str, subline: str) -> "Figure":
    """Returns the page as a figure; its lengths are inches."""
    from matplotlib.figure import Figure

    width = max(page.width, 6.5) + 2 * MARGIN
    height = page.height + 2 * MARGIN + HEADLINE + LEGEND
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    left = -MARGIN - max(0.0, 6.5 - page.width) / 2
    axes.set(xlim=(left, left + width), ylim=(page.height + MARGIN + LEGEND, -MARGIN - HEADLINE))
    top, start = -HEADLINE - MARGIN / 2, left + MARGIN
    _write(axes, start, top + 0.1, headline, HEADLINE_FONT, ha="left", weight="bold")
    _write(axes, start, top + 0.35, subline, TITLE_FONT + 0.5, ha="left", color=LINE)
    for link in page.links:
        _draw_line(axes, link)
    for piece in page.pieces:
        _draw_piece(axes, piece)
    _draw_legend(axes, page, start, page.height + MARGIN + LEGEND / 2)
    return figure


def encode(figure: "Figure", form: str) -> bytes:
    """Returns a figure as the bytes of a file; the same figure gives the same bytes."""
    import matplotlib

    metadata: dict[str, Any] = {"Date": None} if form == "svg" else {}
    dpi = min(DPI, LARGEST / max(figure.get_size_inches()))
    file = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "cnnsearch", "font.family": "DejaVu Sans"}):
        figure.savefig(file, format=form, dpi=dpi, metadata=metadata)
    return file.getvalue()


def _draw_piece(axes: "Axes", piece: Piece) -> None:
    if piece.placed.part.framed:
        _draw_frame(axes, piece)
    for edge in piece.placed.edges if piece.placed.part.framed else ():
        _draw_curve(axes, [(x + piece.x, y + piece.y) for x, y in edge])
    for box in piece.placed.boxes:
        _draw_box(axes, box, piece.x + box.x, piece.y + box.y)


def _draw_frame(axes: "Axes", piece: Piece) -> None:
    """A card with a header; a stack of cards where blocks repeat."""
    from matplotlib.patches import FancyBboxPatch

    x, y, width, height = piece.frame
    part = piece.placed.part
    style = "round,pad=0,rounding_size=0.07"
    for shift in (0.1, 0.05, 0.0) if part.repeats > 1 else (0.0,):
        corner = (x + shift, y + shift)
        card = FancyBboxPatch(corner, width, height, style, fc=SHEET, ec=FRAME, lw=0.9, zorder=1)
        axes.add_patch(card)
    rule = y + part.header
    axes.plot((x, x + width), (rule, rule), color=FRAME, lw=0.7, zorder=1)
    left = x + PADDING / 2
    _write(axes, left, y + 0.11, part.name, TITLE_FONT, ha="left", weight="bold")
    lines = [(part.title, TITLE_FONT, INK), (part.cost, SHAPE_FONT, LINE)]
    for row, (text, font, color) in enumerate(line for line in lines if line[0]):
        _write(axes, left, y + 0.25 + 0.13 * row, text, font, ha="left", color=color)
    if part.repeats > 1:
        right = x + width - PADDING / 2
        _write(axes, right, y + 0.12, f"{TIMES}{part.repeats}", 10.5, ha="right", weight="bold")


def _draw_box(axes: "Axes", box: Box, x: float, y: float) -> None:
    from matplotlib.patches import Circle, FancyBboxPatch

    color = _find_color(box.kind)
    if box.kind in SYMBOLS:
        axes.add_patch(Circle((x, y), box.height / 2, fc=color, ec=INK, lw=0.8, zorder=3))
    else:
        corner, style = (x - box.width / 2, y - box.height / 2), "round,pad=0,rounding_size=0.06"
        axes.add_patch(
            FancyBboxPatch(corner, box.width, box.height, style, fc=color, ec=INK, lw=0.8, zorder=3)
        )
    _write(axes, x, y, box.text, BOX_FONT + 3 * (box.kind in SYMBOLS))
    below = y + box.height / 2
    label = _write(axes, x, below + LABEL / 2, box.shape, SHAPE_FONT, color=INK)
    label.set_bbox({"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.92})


def _draw_curve(axes: "Axes", points: Sequence[Point]) -> None:
    """Vertical where it leaves and arrives, with an arrow head at its end."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    vertices, codes = [points[0]], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        if abs(x0 - x1) < 1e-6:
            vertices, codes = [*vertices, (x1, y1)], [*codes, Curve.LINETO]
            continue
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Curve.CURVE4] * 3
    arrow = FancyArrowPatch(
        path=Curve(vertices, codes), arrowstyle="-|>,head_length=3,head_width=1.6", color=LINE,
        lw=1.0, shrinkA=0, shrinkB=0, zorder=2,
    )  # fmt: skip
    axes.add_patch(arrow)


def _draw_line(axes: "Axes", points: Sequence[Point]) -> None:
    """The line from one part to the next."""
    if len(points) == 3:
        _draw_curve(axes, points)
        return
    xs, ys = zip(*points[:-1], strict=True)
    axes.plot(xs, ys, color=LINE, lw=1.3, zorder=1, solid_joinstyle="round")
    _draw_curve(axes, points[-2:])


def _write(axes: "Axes", x: float, y: float, text: str, size: float, **style: Any) -> "Text":
    defaults = {"ha": "center", "va": "center", "color": INK, "zorder": 4}
    written: Text = axes.text(x, y, text, fontsize=size, **{**defaults, **style})
    return written


def _find_color(kind: str) -> str:
    return next((color for color, kinds in COLORS.values() if kind in kinds), COLORS["other"][0])


def _draw_legend(axes: "Axes", page: Page, x: float, y: float) -> None:
    """Only the colours that are in the picture."""
    from matplotlib.patches import Rectangle

    used = {_find_color(box.kind) for piece in page.pieces for box in piece.placed.boxes}
    for name, (color, _) in COLORS.items():
        if color in used:
            axes.add_patch(Rectangle((x, y - 0.07), 0.2, 0.14, fc=color, ec=INK, lw=0.6))
            _write(axes, x + 0.26, y, name, SHAPE_FONT + 0.5, ha="left")
            x += 0.26 + text_width(name, SHAPE_FONT + 0.5) + 0.2
