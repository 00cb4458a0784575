"""Draws parallel coordinates: one line per candidate over the hyperparameters that mattered."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnsearch.report.canvas import COLOURS, INK, MOST_TIPS, Canvas, render_svg
from cnnsearch.report.facts import Facts
from cnnsearch.report.figures import describe_trial, format_value, shorten
from cnnsearch.report.importance import encode
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.choices import Parameter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN_AXES = 8
BEST, MANY = 5, 300  # highlighted lines; candidates above which the others are drawn fainter


def draw_parallel_coordinates(facts: Facts, names: Sequence[str], canvas: Canvas) -> str:
    """Draws one line per candidate over the hyperparameters; the best are drawn last, on top."""
    known = {parameter.name: parameter for parameter in facts.space.parameters}
    axes_shown = [known[name] for name in names if name in known][
        : SHOWN_AXES // (1 + canvas.is_narrow)
    ]
    drawn = [trial for trial in facts.ranked if not trial.role]  # the baseline has no values
    trials = sorted(drawn, key=lambda trial: trial.score or 0.0)
    if len(axes_shown) < 2 or len(trials) < 2:
        return ""
    figure, axes = canvas.create(3.6)
    ranges = [_find_range(parameter, trials) for parameter in axes_shown]
    _draw_lines(axes, trials, list(zip(axes_shown, ranges, strict=True)))
    labels = [shorten(parameter.name, 18) for parameter in axes_shown]
    axes.set_xticks(range(len(labels)), labels, rotation=22, ha="right", fontsize=8, color=INK)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(-0.3, len(labels) - 0.7), ylim=(-0.16, 1.1))
    for place, parameter in enumerate(axes_shown):
        for height, text in _label_axis(parameter, ranges[place]):
            axes.text(place, height, text, ha="center", va="center", fontsize=7, color=INK)
    return render_svg(figure, "Candidates over the hyperparameters that mattered",
                [describe_trial(trial, facts) for trial in trials])  # fmt: skip


def _draw_lines(
    axes: "Axes",
    trials: Sequence[TrialRecord],
    ranges: Sequence[tuple[Parameter, tuple[float, float]]],
) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    low, high = trials[0].score or 0.0, trials[-1].score or 0.0
    faint = min(1.0, MANY / len(trials))
    below = max(0, len(trials) - MOST_TIPS)
    lines, shades = [], []
    for number, trial in enumerate(trials):
        ys = [_scale(parameter, trial, ends) for parameter, ends in ranges]
        share = ((trial.score or 0.0) - low) / ((high - low) or 1.0)
        best = number >= len(trials) - BEST
        shade = 0.9 if best else faint * (0.12 + 0.5 * share)
        if number < below:
            lines.append(list(enumerate(ys)))
            shades.append(to_rgba(COLOURS[0], shade))
            continue
        (line,) = axes.plot(
            range(len(ys)), ys, color=COLOURS[1 if best else 0], alpha=shade,
            linewidth=2.4 if best else 0.8, marker="." if len(trials) < MANY else "", markersize=3,
        )  # fmt: skip
        line.set_gid(f"tip-{number}")
    axes.add_collection(LineCollection(lines, colors=shades, linewidths=0.8, zorder=1))


def _find_range(parameter: Parameter, trials: Sequence[TrialRecord]) -> tuple[float, float]:
    there = [encode(parameter, t.values) for t in trials if parameter.name in t.values]
    return (min(there), max(there)) if there else (0.0, 1.0)


def _scale(parameter: Parameter, trial: TrialRecord, ends: tuple[float, float]) -> float:
    """Returns the position on an axis, 0 to 1; NaN if the hyperparameter is inactive."""
    if parameter.name not in trial.values:
        return float("nan")
    low, high = ends
    return (encode(parameter, trial.values) - low) / (high - low) if high > low else 0.5


def _label_axis(parameter: Parameter, ends: tuple[float, float]) -> list[tuple[float, str]]:
    """Returns the labels of an axis with their heights."""
    if parameter.kind == "choice" and not parameter.ordered:
        low, high = int(ends[0]), int(ends[1])
        names = [shorten(str(option), 12) for option in parameter.options[low : high + 1]]
        step = 1 / max(1, high - low)
        return [(number * step + 0.045, name) for number, name in enumerate(names)][:8]
    if parameter.kind == "choice":
        values = [str(parameter.options[int(i)]) for i in ends if 0 <= i < len(parameter.options)]
    else:
        values = [format_value(math.exp(v) if parameter.log else v) for v in ends]
    return list(zip((-0.09, 1.07), [shorten(v, 12) for v in values], strict=False))
