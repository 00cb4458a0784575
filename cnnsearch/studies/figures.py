"""What the figures of all studies share: colours, grid, and how they are written."""

from pathlib import Path
from typing import TYPE_CHECKING

from cnnsearch.errors import CnnsearchError
from cnnsearch.utils.atomic_files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's palette, distinguishable for the colour-blind.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
DPI = 120


def draw_grid(axes: "Axes") -> None:
    """Draws a light grid behind the data."""
    axes.grid(color="#e6e9ec", linewidth=0.6)
    axes.set_axisbelow(True)


def save_figure(figure: "Figure", path: Path) -> None:
    """Writes a figure as PNG, atomically.

    Raises:
        CnnsearchError: it cannot be written there.
    """
    try:
        with atomic_file(path) as file:
            figure.savefig(file, format="png", dpi=DPI)
    except OSError as error:
        raise CnnsearchError(f"--plot {path}: cannot be written: {error.strerror}") from None
