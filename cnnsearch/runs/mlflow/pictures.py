"""Draws a search's Pareto front, learning curves and networks for MLflow."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.drawing import draw
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.mlflow import pages
from cnnsearch.runs.ranking import rank_trials
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.objectives import Objective, objective_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE, _DPI = (8.0, 5.0), 110
# Okabe and Ito's palette for colour-blind readers; grey for dominated candidates.
_INK, _FRONT, _DOMINATED = "#1b1f24", "#d55e00", "#8a939c"
_CURVES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES = ("-", "--", ":")

History = list[dict[str, Any]]


def draw_search(
    folder: Path,
    run: RunDirectory,
    trials: Sequence[TrialRecord],
    front: Sequence[TrialRecord],
    curves: Mapping[str, History],
) -> list[Path]:
    """Draws the Pareto front and its learning curves.

    Args:
        folder: for ``pareto.png`` and ``curves.png``.
        run: the search.
        trials: all its candidates.
        front: those on the Pareto front.
        curves: epochs of each candidate on the front, by trial id.
    """
    objective = objective_of(run.manifest.get("settings"))
    best = sorted(front, key=lambda t: -(t.score or 0))[: len(_CURVES)]
    shown = {pages.name_record(t): curves[t.id] for t in best}
    return [
        _save(_draw_front(run.name, trials, front, objective.heading), folder / "pareto.png"),
        _save(_draw_curves(run.name, shown, objective.per_epoch), folder / "curves.png"),
    ]


def draw_network(folder: Path, trial: TrialRecord) -> Path | None:
    """Draws a candidate's network as ``architecture.png``; None if it cannot be drawn."""
    try:
        network = Architecture.from_data(dict(trial.architecture))
        named = network.model_copy(update={"name": pages.name_record(trial)})
        return draw(named, folder / "architecture.png")
    except CnnsearchError:  # with a block of a later version: only the figure is missing
        return None


def _draw_front(
    name: str, trials: Sequence[TrialRecord], front: Sequence[TrialRecord], what: str
) -> "Figure":
    figure, axes = _make_figure(f"{name}: Pareto front", "multiply-adds", f"{what} (%)")
    dominated = [t for t in rank_trials(trials) if t.macs and t not in front]
    size = 26 if len(dominated) < 100 else 9
    axes.scatter(
        *_get_coordinates(dominated), s=size, color=_DOMINATED, alpha=0.7, label="candidate"
    )
    line: dict[str, Any] = {"color": _FRONT, "marker": "D", "label": "on the Pareto front"}
    axes.step(*_get_coordinates(front), where="post", **line)
    for trial in _select_labels(front):
        place = (trial.macs or 0, 100 * (trial.score or 0))
        axes.annotate(
            f"{trial.number:03d}", place, (0, 7), textcoords="offset points", size=8, ha="center"
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: pages.format_short(value))
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.margins(y=0.1)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return figure


def _select_labels(front: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Selects members of the front whose labels do not overlap; better ones come first."""
    reach = math.log((front[-1].macs or 1) / (front[0].macs or 1)) if front[0].macs else 0.0
    chosen: list[TrialRecord] = []
    for trial in reversed(front):
        gap = math.log((chosen[-1].macs or 1) / (trial.macs or 1)) if chosen else math.inf
        chosen += [trial] if gap >= 0.06 * reach else []
    return chosen


def _draw_curves(name: str, curves: Mapping[str, History], objective: Objective) -> "Figure":
    title = f"{name}: learning curves of the Pareto front's best"
    figure, axes = _make_figure(title, "epoch", f"{objective.heading} (%)")
    for place, (label, history) in enumerate(curves.items()):
        epochs = [e for e in history if isinstance(e.get(objective.metric), float | int)]
        values = [100 * e[objective.metric] for e in epochs]
        dash = _DASHES[place % len(_DASHES)]
        steps = [e.get("epoch", n) for n, e in enumerate(epochs, start=1)]
        axes.plot(steps, values, marker=".", label=label, color=_CURVES[place], linestyle=dash)
    axes.locator_params(axis="x", integer=True)
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    return figure


def _make_figure(title: str, across: str, up: str) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", color=_INK, fontsize=12, fontweight="bold")
    axes.set(xlabel=across, ylabel=up)
    axes.grid(color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: "Figure", path: Path) -> Path:
    figure.savefig(path, dpi=_DPI)
    return path


def _get_coordinates(trials: Sequence[TrialRecord]) -> tuple[list[int], list[float]]:
    return [t.macs or 0 for t in trials], [100 * (t.score or 0) for t in trials]
