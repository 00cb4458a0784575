"""Figures of a final training: the confusion matrix and the worst-classified images."""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cnnsearch.data.dataset import Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST = 40
COLUMNS = 8
NUMBERED = 20
"""With more classes than this, cells are too small for numbers."""


def draw_confusion(counts: npt.NDArray[Any], names: Sequence[str], title: str) -> bytes:
    """Returns a confusion matrix as PNG: rows are true classes and normalized to 1."""
    from matplotlib.figure import Figure

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(20.0, max(4.5, 0.55 * len(names) + 2.5))
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(ticks, names, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(title, fontsize=10)
    if len(names) <= NUMBERED:
        for row, column in np.argwhere(counts > 0):
            share = shares[row, column]
            text = f"{100 * share:.0f}" if share > 0.005 else "<1"
            colour = "white" if share < 0.6 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    return _encode_png(figure)


def draw_worst(
    split: Split, labels: npt.NDArray[Any], probabilities: npt.NDArray[Any],
    names: Sequence[str], label: str,
) -> bytes:  # fmt: skip
    """Returns the images whose true class has the lowest probability, as PNG.

    ``probabilities`` are means over seeds, (N, classes); ``label`` names the network.
    """
    from matplotlib.figure import Figure

    truth = probabilities[np.arange(len(labels)), labels]
    rows = np.argsort(truth, kind="stable")[:WORST]
    lines = -(-len(rows) // COLUMNS)
    figure = Figure(figsize=(1.45 * COLUMNS, 1.75 * lines + 0.5), layout="constrained")
    every = np.ravel(figure.subplots(lines, COLUMNS))
    for axes in every:
        axes.axis("off")
    for axes, row in zip(every, rows, strict=False):
        pixels = split.read(np.array([row]))[0]
        axes.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=255)
        predicted = int(probabilities[row].argmax())
        title = f"{names[labels[row]]} {truth[row]:.0%}\n"
        title += f"predicted {names[predicted]} {probabilities[row, predicted]:.0%}"
        axes.set_title(title, fontsize=6.5)
    title = f"{label}: the {len(rows)} worst-classified images, with the true class's probability"
    figure.suptitle(title, fontsize=10)
    return _encode_png(figure)


def _encode_png(figure: "Figure") -> bytes:
    content = BytesIO()
    figure.savefig(content, dpi=120, format="png")
    return content.getvalue()
