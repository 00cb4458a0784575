"""Draws a search's Pareto front, learning curves and networks for MLflow."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.costs import MACS, CostKind
from cnnsearch.architecture.drawing import draw
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.cost_axis import set_cost_ticks
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.mlflow import pages
from cnnsearch.runs.pareto import list_tradeoffs
from cnnsearch.runs.ranking import find_pareto_front, rank_trials
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
    """Draws the Pareto front of score and each cost, and learning curves.

    Args:
        folder: for ``pareto.png`` and ``curves.png``.
        run: the search.
        trials: all its candidates.
        front: those on the Pareto front of all objectives.
        curves: epochs of each candidate on the front, by trial id.
    """
    settings = run.manifest.get("settings")
    objective, kinds = objective_of(settings), list_tradeoffs(settings, trials) or [MACS]
    best = sorted(front, key=lambda t: -(t.score or 0))[: len(_CURVES)]
    shown = {pages.name_record(t): curves[t.id] for t in best}
    return [
        _save(_draw_fronts(run.name, trials, kinds, objective.heading), folder / "pareto.png"),
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


def _draw_fronts(
    name: str, trials: Sequence[TrialRecord], kinds: Sequence[CostKind], what: str
) -> "Figure":
    """Draws one panel for each cost, two in a row."""
    from matplotlib.figure import Figure

    rows, columns = math.ceil(len(kinds) / 2), min(2, len(kinds))
    size = (_SIZE[0] * columns, _SIZE[1] * rows)
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    for place, kind in enumerate(kinds, start=1):
        axes = figure.add_subplot(rows, columns, place)
        _style_axes(axes, f"{name}: Pareto front" if place == 1 else "", kind.title, f"{what} (%)")
        _draw_front(axes, trials, kind)
    return figure


def _draw_front(axes: "Axes", trials: Sequence[TrialRecord], kind: CostKind) -> None:
    found = [trial for trial in rank_trials(trials) if kind.read(trial)]
    front = find_pareto_front(found, (kind,))
    dominated = [trial for trial in found if trial not in front]
    size = 26 if len(dominated) < 100 else 9
    axes.scatter(
        *_get_coordinates(dominated, kind), s=size, color=_DOMINATED, alpha=0.7, label="candidate"
    )
    line: dict[str, Any] = {"color": _FRONT, "marker": "D", "label": "on the Pareto front"}
    axes.step(*_get_coordinates(front, kind), where="post", **line)
    for number, place in _select_labels(front, kind):
        axes.annotate(
            f"{number:03d}", place, (0, 7), textcoords="offset points", size=8, ha="center"
        )
    if found:
        set_cost_ticks(axes, kind, _get_coordinates(found, kind)[0])
    axes.margins(y=0.1)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


def _select_labels(
    front: Sequence[TrialRecord], kind: CostKind
) -> list[tuple[int, tuple[float, float]]]:
    """Returns numbers and places on the front that do not overlap; better ones come first."""
    costs, scores = _get_coordinates(front, kind)
    reach, chosen = math.log(costs[-1] / costs[0]) if costs else 0.0, math.inf
    labels = []
    for trial, cost, score in reversed(list(zip(front, costs, scores, strict=True))):
        if math.log(chosen / cost) >= 0.06 * reach:
            labels.append((trial.number, (cost, score)))
            chosen = cost
    return labels


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
    _style_axes(axes, title, across, up)
    return figure, axes


def _style_axes(axes: "Axes", title: str, across: str, up: str) -> None:
    axes.set_title(title, loc="left", color=_INK, fontsize=12, fontweight="bold")
    axes.set(xlabel=across, ylabel=up)
    axes.grid(color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: "Figure", path: Path) -> Path:
    figure.savefig(path, dpi=_DPI)
    return path


def _get_coordinates(
    trials: Sequence[TrialRecord], kind: CostKind
) -> tuple[list[float], list[float]]:
    return [kind.read(t) or 0.0 for t in trials], [100 * (t.score or 0) for t in trials]
