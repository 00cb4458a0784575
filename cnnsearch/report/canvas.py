"""What the report's figures share: size, axes, ticks, legend; SVG that takes the page's colours."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Final

from cnnsearch.utils.units import format_amount

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GRID = "#010203", "#040506"
"""Placeholders for the page's own colours, replaced when a figure is embedded."""
# Close to Okabe & Ito's palette for the colour-blind; markers and dashes repeat the distinction.
COLOURS = ("#2f86c5", "#d9870f", "#1a9e77", "#c2583a", "#b26aa3", "#7d8a2e", "#5b7f95", "#8a6d4b")
MOST_TICKS: Final = 7
_IDS = re.compile(r' id="[A-Za-z.]+[0-9]?[A-Za-z]*_[0-9]+"')
"""Ids that matplotlib gives to artists: nothing refers to them, and they repeat on the page."""
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


def set_amount_ticks(axes: "Axes", values: Sequence[float], most: int = MOST_TICKS) -> None:
    """Makes the horizontal axis logarithmic, with ticks such as 200K, 500K, 1M."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    low, high = min(values), max(values)
    margin = (high / low) ** 0.04 if high > low else 1.3
    low, high = low / margin, high * margin
    ticks = choose_ticks(low, high, most)
    axes.set_xlim(low, high)
    names = [_name_tick(tick) for tick in ticks]
    if len(set(names)) < len(names):  # the candidates cost almost the same
        ticks = [ticks[0], ticks[-1]]
        names = [f"{tick:,.0f}" for tick in ticks]
    axes.set_xticks(ticks, names)
    axes.xaxis.set_minor_locator(NullLocator())


def _name_tick(tick: float) -> str:
    """Returns ``1M`` for a million: without the zeros that a table needs."""
    return (
        re.sub(r"\.?0+(?=[KMG]$)", "", text)
        if "." in (text := format_amount(round(tick)))
        else text
    )


def choose_ticks(low: float, high: float, most: int = MOST_TICKS) -> list[float]:
    """Returns round numbers between two, evenly spaced on a logarithmic axis if they can be."""
    for steps in ((1, 2, 5), (1, 3), (1,)):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            break
    if len(ticks) >= 3:
        return ticks[:: math.ceil(len(ticks) / most)]
    step = 10.0 ** math.floor(math.log10(high - low))
    sizes = (step * factor for factor in (0.2, 0.5, 1, 2, 5, 10))
    step = next(size for size in sizes if (high - low) / size <= most - 1)
    return [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def render_svg(figure: "Figure", label: str, tips: Sequence[str] = ()) -> str:
    """Returns a figure for a page; ``tips`` are the tooltips of the artists ``tip-<number>``."""
    import matplotlib

    out = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": label}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = embed_svg(out.getvalue(), label)
    for number, tip in enumerate(tips):
        text = text.replace(f'<g id="tip-{number}">', f"<g><title>{escape(tip)}</title>")
    return text


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
