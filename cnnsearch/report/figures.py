"""Draws the report's figures: inline SVG that takes the page's colours, light or dark."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from html import escape
from io import StringIO
from itertools import accumulate
from typing import TYPE_CHECKING

from cnnsearch.oracles import find_strategy
from cnnsearch.report.facts import Facts
from cnnsearch.report.importance import Importances, encode
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.choices import Parameter
from cnnsearch.utils.units import format_amount, format_time, pluralize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GRID = "#010203", "#040506"
"""Placeholders for the page's own colours, replaced when a figure is embedded."""
# Close to Okabe & Ito's palette for the colour-blind; markers and dashes repeat the distinction.
COLOURS = ("#2f86c5", "#d9870f", "#1a9e77", "#c2583a", "#b26aa3", "#7d8a2e", "#5b7f95", "#8a6d4b")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
DASHES = ("-", "--", "-.", ":")
SHOWN_AXES = 8
BEST, MANY = 5, 300  # highlighted lines; candidates above which the others are drawn fainter
LONGEST_NAME = 34
PROMOTED = "promoted or fully trained"
_IDS = re.compile(r' id="[A-Za-z.]+[0-9]?[A-Za-z]*_[0-9]+"')
"""Ids that matplotlib gives to artists: nothing refers to them, and they repeat on the page."""


def _create_figure(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
    axes = figure.subplots()
    axes.set_facecolor("none")
    axes.tick_params(which="both", colors=INK, labelsize=9)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=INK)
    return figure, axes


def _finish_axes(axes: "Axes", x: str, y: str = "", columns: int = 0) -> None:
    """Labels the axes; a legend in ``columns`` goes above the figure, where it hides nothing."""
    axes.set_xlabel(x, color=INK, fontsize=9)
    axes.set_ylabel(y, color=INK, fontsize=9)
    if columns:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, ncols=columns,
                    loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)  # fmt: skip


def _render_svg(figure: "Figure", label: str, tips: Sequence[str] = ()) -> str:
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


def _describe_trial(trial: TrialRecord, measured: str) -> str:
    """Returns the tooltip of a candidate."""
    lines = [
        f"trial {trial.id}, {trial.family}",
        f"{measured} {trial.score or 0.0:.2%}",
        f"{format_amount(trial.params)} parameters, {format_amount(trial.macs)} MACs",
        *(f"{name} = {_format_value(value)}" for name, value in list(trial.values.items())[:14]),
    ]
    return "\n".join(lines)


def _format_value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def draw_front(facts: Facts) -> str:
    """Draws scores against MACs; a line joins the Pareto front."""
    found = [trial for trial in facts.ranked if trial.macs]
    figure, axes = _create_figure(7.4, 4.2)
    families = sorted({trial.family for trial in found})
    ends = {trial.id for trial in facts.front}
    for number, trial in enumerate(found):
        style = families.index(trial.family)
        (point,) = axes.plot(
            float(trial.macs or 0), 100 * (trial.score or 0.0), MARKERS[style % len(MARKERS)],
            color=COLOURS[style % len(COLOURS)], markersize=8 if trial.id in ends else 4.5,
            alpha=1.0 if trial.id in ends else 0.65,
            markeredgecolor=INK if trial.id in ends else "none", markeredgewidth=0.8,
        )  # fmt: skip
        point.set_gid(f"tip-{number}")
    for style, family in enumerate(families[: len(COLOURS)]):
        axes.plot([], [], MARKERS[style], color=COLOURS[style], label=family)
    front = [trial for trial in facts.front if trial.macs]
    axes.plot([float(t.macs or 0) for t in front], [100 * (t.score or 0) for t in front], color=INK,
              linewidth=1, drawstyle="steps-post", zorder=1, label="front")  # fmt: skip
    axes.set_xscale("log")
    _finish_axes(axes, "multiply-accumulates per image (log scale)", f"{facts.measured}, %", 5)
    label = f"{len(found)} candidates: {facts.measured} against multiply-accumulates"
    return _render_svg(figure, label, [_describe_trial(trial, facts.measured) for trial in found])


def draw_progress(facts: Facts) -> str:
    """Draws scores over time, and the best so far."""
    ended = [t for t in facts.trials if t.score is not None and t.id in facts.moments]
    ended.sort(key=lambda trial: facts.moments[trial.id])
    unit, name = (3600.0, "hours") if facts.seconds > 7200 else (60.0, "minutes")
    xs = [facts.moments[trial.id] / unit for trial in ended]
    ys = [100 * (trial.score or 0.0) for trial in ended]
    best = list(accumulate(ys, max))
    figure, axes = _create_figure(7.4, 3.0)
    for number, (x, y) in enumerate(zip(xs, ys, strict=True)):
        (point,) = axes.plot(x, y, "o", color=COLOURS[0], alpha=0.55, markersize=4)
        point.set_gid(f"tip-{number}")
    axes.plot(xs, best, color=COLOURS[3], linewidth=1.8, drawstyle="steps-post",
              label="best so far")  # fmt: skip
    axes.plot([], [], "o", color=COLOURS[0], alpha=0.55, label="a candidate")
    _finish_axes(axes, f"search time, {name}", f"{facts.measured}, %", 2)
    tips = [
        f"candidate {n} of {len(ended)}, after {format_time(facts.moments[t.id])}\n"
        + _describe_trial(t, facts.measured)
        for n, t in enumerate(ended, start=1)
    ]
    return _render_svg(figure, f"The best {facts.measured} over time", tips)


def draw_importance(found: Importances) -> str:
    """Draws the most important hyperparameters, with standard deviations."""
    shown = found.each[:12][::-1]
    figure, axes = _create_figure(7.4, 0.8 + 0.34 * len(shown))
    axes.barh(
        [_shorten(each.name) for each in shown], [each.mean for each in shown],
        xerr=[each.deviation for each in shown], color=COLOURS[0], ecolor=INK, capsize=2,
        error_kw={"linewidth": 0.9}, height=0.62,
    )  # fmt: skip
    axes.axvline(0, color=INK, linewidth=0.8)
    _finish_axes(axes, "increase of the held-out error when shuffled, in variances of the score")
    return _render_svg(figure, "Importance of hyperparameters")


def draw_parallel_coordinates(facts: Facts, names: Sequence[str]) -> str:
    """Draws one line per candidate over the hyperparameters; the best are drawn last, on top."""
    known = {parameter.name: parameter for parameter in facts.space.parameters}
    axes_shown = [known[name] for name in names if name in known][:SHOWN_AXES]
    trials = sorted(facts.ranked, key=lambda trial: trial.score or 0.0)
    if len(axes_shown) < 2 or len(trials) < 2:
        return ""
    figure, axes = _create_figure(7.4, 3.6)
    ranges = [_find_range(parameter, trials) for parameter in axes_shown]
    _draw_lines(axes, trials, list(zip(axes_shown, ranges, strict=True)))
    labels = [_shorten(parameter.name, 18) for parameter in axes_shown]
    axes.set_xticks(range(len(labels)), labels, rotation=22, ha="right", fontsize=8, color=INK)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(-0.3, len(labels) - 0.7), ylim=(-0.16, 1.1))
    for place, parameter in enumerate(axes_shown):
        for height, text in _label_axis(parameter, ranges[place]):
            axes.text(place, height, text, ha="center", va="center", fontsize=7, color=INK)
    return _render_svg(figure, "Candidates over the hyperparameters that mattered",
                [_describe_trial(trial, facts.measured) for trial in trials])  # fmt: skip


def _draw_lines(
    axes: "Axes",
    trials: Sequence[TrialRecord],
    ranges: Sequence[tuple[Parameter, tuple[float, float]]],
) -> None:
    low, high = trials[0].score or 0.0, trials[-1].score or 0.0
    faint = min(1.0, MANY / len(trials))
    for number, trial in enumerate(trials):
        ys = [_scale(parameter, trial, ends) for parameter, ends in ranges]
        share = ((trial.score or 0.0) - low) / ((high - low) or 1.0)
        best = number >= len(trials) - BEST
        (line,) = axes.plot(
            range(len(ys)), ys, color=COLOURS[1 if best else 0],
            alpha=0.9 if best else faint * (0.12 + 0.5 * share),
            linewidth=2.4 if best else 0.8, marker="." if len(trials) < MANY else "", markersize=3,
        )  # fmt: skip
        line.set_gid(f"tip-{number}")


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
        names = [_shorten(str(option), 12) for option in parameter.options[low : high + 1]]
        step = 1 / max(1, high - low)
        return [(number * step + 0.045, name) for number, name in enumerate(names)][:8]
    if parameter.kind == "choice":
        values = [str(parameter.options[int(i)]) for i in ends if 0 <= i < len(parameter.options)]
    else:
        values = [_format_value(math.exp(v) if parameter.log else v) for v in ends]
    return list(zip((-0.09, 1.07), [_shorten(v, 12) for v in values], strict=False))


def draw_curves(facts: Facts) -> str:
    """Draws validation accuracy by epoch of the best candidates."""
    figure, axes = _create_figure(7.4, 3.2)
    drawn = 0
    for number, (trial, history) in enumerate(facts.curves.items()):
        points = [(e["epoch"], 100 * e["val_accuracy"]) for e in history if "val_accuracy" in e]
        if len(points) < 2:
            continue
        axes.plot(*zip(*points, strict=True), DASHES[number // 2 % 4], linewidth=1.5,
                  color=COLOURS[number % len(COLOURS)], label=f"trial {trial}")  # fmt: skip
        drawn += 1
    if not drawn:
        return ""
    axes.locator_params(axis="x", integer=True)
    _finish_axes(axes, "epoch", "val accuracy, %", 4)
    return _render_svg(figure, "Learning curves of the best candidates")


def draw_rungs(facts: Facts) -> str:
    """Draws how many candidates each rung trained and promoted; nothing if there is one rung."""
    rungs = sorted({trial.epochs for trial in facts.trials})
    if not find_strategy(facts.settings["strategy"]).multi_fidelity or len(rungs) < 2:
        return ""
    promoted = {trial.continues for trial in facts.trials}
    outcomes = Counter((_classify(t, promoted, rungs[-1]), t.epochs) for t in facts.trials)
    figure, axes = _create_figure(7.4, 2.6)
    names, left = [pluralize(epochs, "epoch") for epochs in rungs], [0] * len(rungs)
    for outcome, colour, hatch in ((PROMOTED, 0, ""), ("stopped", 6, "//"), ("failed", 3, "xx")):
        counts = [outcomes[outcome, epochs] for epochs in rungs]
        axes.barh(names, counts, left=left, color=COLOURS[colour], hatch=hatch, label=outcome,
                  edgecolor=INK, linewidth=0.5, height=0.6)  # fmt: skip
        left = [a + b for a, b in zip(left, counts, strict=True)]
    axes.locator_params(axis="x", integer=True)
    _finish_axes(axes, "candidates", columns=3)
    return _render_svg(figure, "Promotion of candidates over the rungs")


def _classify(trial: TrialRecord, promoted: set[str | None], last_rung: int) -> str:
    if trial.status == "failed":
        return "failed"
    return PROMOTED if trial.id in promoted or trial.epochs == last_rung else "stopped"


def _shorten(name: str, longest: int = LONGEST_NAME) -> str:
    return name if len(name) <= longest else f"…{name[1 - longest :]}"
