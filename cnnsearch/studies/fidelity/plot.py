"""A scatter plot of short against long scores, a panel for each kind of short training."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnsearch.studies.fidelity.plan import LONG
from cnnsearch.studies.fidelity.results import Comparison, FidelityReport
from cnnsearch.studies.figures import COLORS, draw_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = "osD^vP*X"
COLUMNS, SIDE = 3, 4.2


def draw_figure(report: FidelityReport) -> "Figure":
    """Returns the figure; block families have colours and marks."""
    from matplotlib.figure import Figure

    count = len(report.comparisons)
    columns = min(COLUMNS, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(SIDE * columns + 0.4, SIDE * rows + 1.1), layout="constrained")
    grid: Any = figure.subplots(rows, columns, squeeze=False)
    axes = list(grid.flat)
    for panel, one in zip(axes, report.comparisons, strict=False):
        _draw_panel(panel, one, report)
    for panel in axes[count:]:
        panel.set_axis_off()
    axes[0].set_ylabel(f"validation score after {report.epochs} epochs, %")
    figure.suptitle(f"{report.space} on {Path(report.data).name}, {report.device}", fontsize=11)
    handles, names = axes[0].get_legend_handles_labels()
    if 1 < len(names) <= len(COLORS):
        figure.legend(
            handles, names, loc="outside lower center", ncols=min(3 * columns, len(names))
        )
    return figure


def _draw_panel(axes: "Axes", one: Comparison, report: FidelityReport) -> None:
    short, long = report.scores[one.label], report.scores[LONG]
    both = sorted(short.keys() & long.keys())
    families = sorted({report.families[number] for number in both})
    for place, family in enumerate(families):
        members = [number for number in both if report.families[number] == family]
        xs, ys = [100 * short[n] for n in members], [100 * long[n] for n in members]
        look = place % len(COLORS)
        axes.scatter(xs, ys, s=26, color=COLORS[look], marker=MARKS[look], label=family, alpha=0.85)
    x, y = 100 * short[one.winner], 100 * long[one.winner]
    axes.scatter([x], [y], s=130, facecolors="none", edgecolors="black", linewidths=1.2)
    axes.annotate("best short", (x, y), (-8, -16), textcoords="offset points", ha="right")
    axes.axhline(100 * max(long[n] for n in both), color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xlabel(f"validation score, {one.label}, %")
    rho, tau = one.spearman, one.kendall
    title = f"Spearman {rho.value:.2f} ({rho.low:.2f} to {rho.high:.2f}), Kendall {tau.value:.2f}"
    axes.set_title(title, fontsize=10)
    draw_grid(axes)
