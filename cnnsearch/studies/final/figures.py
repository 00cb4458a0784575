"""Pictures of a final training: the confusion matrix, and the images that were told worst."""

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
"""Classes up to which each cell shows its number."""


def confusion_picture(counts: npt.NDArray[Any], names: Sequence[str], title: str) -> bytes:
    """Returns a confusion matrix as PNG: rows are true classes; each row's shares add up to 1.

    Args:
        counts: int (classes, classes).
        names: of the classes.
        title: above it.
    """
    from matplotlib.figure import Figure

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(20.0, max(4.5, 0.55 * len(names) + 2.5))
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(ticks, names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=10)
    if len(names) <= NUMBERED:
        for row, column in np.argwhere(counts > 0):
            dark = shares[row, column] < 0.6
            text = f"{100 * shares[row, column]:.0f}" if shares[row, column] >= 0.005 else "<1"
            colour = "white" if dark else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    return _png(figure)


def worst_picture(
    split: Split, labels: npt.NDArray[Any], likely: npt.NDArray[Any], names: Sequence[str],
    label: str,
) -> bytes:  # fmt: skip
    """Returns the images whose true class was thought least likely, as PNG.

    Args:
        split: the images.
        labels: int (N,).
        likely: class probabilities, mean over seeds, (N, classes).
        names: of the classes.
        label: of the network, for the title.
    """
    from matplotlib.figure import Figure

    truth = likely[np.arange(len(labels)), labels]
    rows = np.argsort(truth, kind="stable")[:WORST]
    lines = -(-len(rows) // COLUMNS)
    figure = Figure(figsize=(1.45 * COLUMNS, 1.75 * lines + 0.5), layout="constrained")
    for axes, row in zip(
        np.ravel(figure.subplots(lines, COLUMNS)), [*rows, *[-1] * WORST], strict=False
    ):
        axes.axis("off")
        if row < 0:
            continue
        pixels = split.read(np.array([row]))[0]
        axes.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=255)
        said = int(likely[row].argmax())
        told = f"taken for {names[said]} {likely[row, said]:.0%}"
        axes.set_title(f"{names[labels[row]]} {truth[row]:.0%}\n{told}", fontsize=6.5)
    what = f"{len(rows)} images told worst, with the probability of the true class"
    figure.suptitle(f"{label}: the {what}", fontsize=10)
    return _png(figure)


def _png(figure: "Figure") -> bytes:
    content = BytesIO()
    figure.savefig(content, dpi=120, format="png")
    return content.getvalue()
