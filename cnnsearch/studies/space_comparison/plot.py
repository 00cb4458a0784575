"""The error distributions of several spaces in one figure."""

from pathlib import Path
from typing import TYPE_CHECKING

from cnnsearch.studies.figures import COLORS, draw_grid
from cnnsearch.studies.space_comparison.statistics import compute_band, compute_edf

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cnnsearch.studies.space_comparison.study import SpaceComparison

POINTS = 400


def draw_figure(comparison: "SpaceComparison") -> "Figure":
    """Returns the figure: a step curve for each space, with its bootstrap band."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.0), layout="constrained")
    axes = figure.subplots()
    everything = [error for each in comparison.samples for error in each.errors]
    margin = 0.03 * (max(everything) - min(everything)) or 0.01
    at = np.linspace(min(everything) - margin, max(everything) + margin, POINTS)
    for place, each in enumerate(comparison.samples):
        color = COLORS[place % len(COLORS)]
        low, high = compute_band(each.errors, at)
        axes.fill_between(100 * at, low, high, step="post", color=color, alpha=0.15, linewidth=0)
        label = f"{each.space}: {len(each.errors)} candidates, mean {np.mean(each.errors):.1%}"
        curve = compute_edf(each.errors, at)
        axes.step(100 * at, curve, where="post", color=color, linewidth=1.6, label=label)
    axes.set_xlabel("validation error, %")
    axes.set_ylabel("share of candidates with at most this error")
    axes.set_ylim(-0.02, 1.02)
    axes.set_title(f"Random candidates on {Path(comparison.data).name}", fontsize=11)
    draw_grid(axes)
    figure.legend(loc="outside lower center", fontsize=9)
    return figure
