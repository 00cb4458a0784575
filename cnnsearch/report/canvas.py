"""What the report's figures share: size, axes, ticks, legend; SVG that takes the page's colours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GRID = "#010203", "#040506"
"""Placeholders for the page's own colours, replaced when a figure is embedded."""
# Close to Okabe & Ito's palette for the colour-blind; markers and dashes repeat the distinction.
COLOURS = ("#2f86c5", "#d9870f", "#1a9e77", "#c2583a", "#b26aa3", "#7d8a2e", "#5b7f95", "#8a6d4b")
_IDS = re.compile(r' id="[A-Za-z.]+[0-9]?[A-Za-z]*_[0-9]+"')
"""Ids that matplotlib gives to artists: nothing refers to them, and they repeat on the page."""
_TIPS = re.compile(r'<g id="tip-([0-9]+)">')
MOST_TIPS = 300
"""Candidates of a figure with a tooltip, the best ones: each is an artist of its own."""
_SHAPES: Final = {
    "o": "M8,3a5,5 0 1 0 .01,0z",
    "s": "M3.5,3.5h9v9h-9z",
    "^": "M8,3l5.5,10h-11z",
    "D": "M8,2l6,6l-6,6l-6,-6z",
    "v": "M8,13l5.5,-10h-11z",
    "P": "M6,2h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
    "X": "M3,5l2,-2l3,3l3,-3l2,2l-3,3l3,3l-2,2l-3,-3l-3,3l-2,-2l3,-3z",
    "-": "M0,7h16v2h-16z",
    "--": "M0,7h6v2h-6zM10,7h6v2h-6z",
    "-.": "M0,7h8v2h-8zM11,7h3v2h-3z",
    ":": "M1,7h3v2h-3zM7,7h3v2h-3zM13,7h3v2h-3z",
}
"""Markers and dashes as paths in a square of 16."""


@dataclass(frozen=True)
class Canvas:
    """The width of a figure in inches; the page shows the one that fits the screen."""

    name: str
    width: float

    @property
    def is_narrow(self) -> bool:
        """Whether it is for a phone."""
        return self.width < 5

    def create(self, height: float) -> "tuple[Figure, Axes]":
        """Returns an empty figure."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.width, height), layout="constrained", facecolor="none")
        axes = figure.subplots()
        axes.set_facecolor("none")
        axes.tick_params(which="both", colors=INK, labelsize=9)
        axes.grid(color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        for side, spine in axes.spines.items():
            spine.set(visible=side in ("left", "bottom"), color=INK)
        return figure, axes


CANVASES: Final = (Canvas("wide", 7.4), Canvas("narrow", 3.9))


def label_axes(axes: "Axes", x: str, y: str = "") -> None:
    """Labels the axes."""
    axes.set_xlabel(x, color=INK, fontsize=9)
    axes.set_ylabel(y, color=INK, fontsize=9)


def render_svg(figure: "Figure", label: str, tips: Sequence[str] = ()) -> str:
    """Returns a figure for a page; ``tips`` are the tooltips of the artists ``tip-<number>``."""
    import matplotlib

    out = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": label}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = embed_svg(out.getvalue(), label)
    return _TIPS.sub(lambda found: f"<g><title>{escape(tips[int(found[1])])}</title>", text)


def embed_svg(svg: str, label: str) -> str:
    """Adapts an SVG file's text to the page: its full width, its colours."""
    text = svg[svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    for name in ("width", "height"):
        text = re.sub(rf'(<svg[^>]*?) {name}="[^"]*"', r"\1", text, count=1)
    text = _IDS.sub("", text).replace(INK, "currentColor").replace(GRID, "var(--grid)")
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(label, quote=True)}"', 1)


def render_legend(entries: Sequence[tuple[str, str, str]]) -> str:
    """Returns a legend below a figure, which wraps as text does: name, marker or dash, colour."""
    items = (
        f'<li><svg viewBox="0 0 16 16" aria-hidden="true"><path d="{_SHAPES[shape]}" '
        f'fill="{colour.replace(INK, "currentColor")}"/></svg>{escape(name)}</li>'
        for name, shape, colour in entries
    )
    return f'<ul class="legend">{"".join(items)}</ul>'
