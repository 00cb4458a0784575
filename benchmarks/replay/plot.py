"""Draws regret against the number of networks evaluated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

AT = (5, 10, 15, 20, 30, 50, 100)


def plot_regret(results: Mapping[str, Any], file: Path) -> None:
    """Draws each strategy's mean regret with two standard errors, the lowest last."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.subplots()
    styles = ("-", "--", ":", "-.")
    for number, (name, found) in enumerate(results.items()):
        at = [int(n) for n in found["regret"]]
        mean = np.array(list(found["regret"].values()))
        error = 2 * np.array(list(found["standard_error"].values()))
        style = styles[number // 10 % len(styles)]
        axes.plot(at, mean, style, marker="o", markersize=3, label=name)
        axes.fill_between(at, mean - error, mean + error, alpha=0.12)
    axes.set(xscale="log", yscale="log", xlabel="networks evaluated", xticks=AT, xticklabels=AT)
    axes.set_ylabel("regret (points of accuracy)")
    axes.minorticks_off()
    axes.set_yticks([0.05, 0.1, 0.2, 0.5, 1.0], ["0.05", "0.1", "0.2", "0.5", "1"])
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=130)
