"""The report's pictures: inline SVG whose text and lines take the page's colours, light or dark."""

import re
from collections.abc import Sequence
from html import escape
from io import StringIO
from itertools import accumulate
from typing import TYPE_CHECKING

from cnnsearch.oracles import find_strategy
from cnnsearch.report.facts import Facts
from cnnsearch.report.importance import Importances, encoded
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.choices import Parameter
from cnnsearch.utils.units import format_amount, format_time, pluralize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GRID = "#010203", "#040506"
"""Stand for the page's own colours until the picture is in the page."""
# Okabe & Ito's colours, which the colour-blind tell apart; markers and dashes say the same again.
COLOURS = ("#2f86c5", "#d9870f", "#1a9e77", "#c2583a", "#b26aa3", "#7d8a2e", "#5b7f95", "#8a6d4b")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
DASHES = ("-", "--", "-.", ":")
SHOWN_AXES = 8
BEST, MANY = 5, 300  # lines that stand out; candidates above which the others are fainter
LONGEST_NAME = 34
_IDS = re.compile(r' id="[A-Za-z.]+[0-9]?[A-Za-z]*_[0-9]+"')
"""Ids that matplotlib gives to every artist: nothing refers to them, and a page has them once."""


def _figure(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
    axes = figure.subplots()
    axes.set_facecolor("none")
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=INK)
    return figure, axes


def _legend(axes: "Axes", columns: int) -> None:
    """Above the picture, where it hides nothing."""
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, ncols=columns,
                loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)  # fmt: skip


def _svg(figure: "Figure", label: str, tips: Sequence[str] = ()) -> str:
    """Returns a figure for a page; ``tips`` are shown where the pointer is on ``tip-<number>``."""
    import matplotlib

    out = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": label}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = embedded(out.getvalue(), label)
    for number, tip in enumerate(tips):
        text = text.replace(f'<g id="tip-{number}">', f"<g><title>{escape(tip)}</title>")
    return text


def embedded(svg: str, label: str) -> str:
    """Returns an SVG file's text for a page: as wide as there is room, in the page's colours."""
    text = svg[svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    for name in ("width", "height"):
        text = re.sub(rf'(<svg[^>]*?) {name}="[^"]*"', r"\1", text, count=1)
    text = _IDS.sub("", text).replace(INK, "currentColor").replace(GRID, "var(--grid)")
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(label, quote=True)}"', 1)


def told(trial: TrialRecord, measured: str) -> str:
    """Returns what is shown of a candidate under the pointer."""
    lines = [
        f"trial {trial.id}, {trial.family}",
        f"{measured} {trial.score or 0.0:.2%}",
        f"{format_amount(trial.params)} parameters, {format_amount(trial.macs)} MACs",
        *(f"{name} = {_plain(value)}" for name, value in list(trial.values.items())[:14]),
    ]
    return "\n".join(lines)


def _plain(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def front_figure(facts: Facts) -> str:
    """Accuracy against MACs; the front is joined by a line."""
    found = [trial for trial in facts.ranked if trial.macs]
    figure, axes = _figure(7.4, 4.2)
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
    axes.set_xlabel("multiply-accumulates of one image (log scale)", color=INK, fontsize=9)
    axes.set_ylabel(f"{facts.measured}, %", color=INK, fontsize=9)
    _legend(axes, 5)
    label = f"{len(found)} candidates: {facts.measured} against multiply-accumulates"
    return _svg(figure, label, [told(trial, facts.measured) for trial in found])


def progress_figure(facts: Facts) -> str:
    """Every score when it was known, and the best until then."""
    ended = [t for t in facts.trials if t.score is not None and t.id in facts.moments]
    ended.sort(key=lambda trial: facts.moments[trial.id])
    unit, name = (3600.0, "hours") if facts.seconds > 7200 else (60.0, "minutes")
    xs = [facts.moments[trial.id] / unit for trial in ended]
    ys = [100 * (trial.score or 0.0) for trial in ended]
    best = list(accumulate(ys, max))
    figure, axes = _figure(7.4, 3.0)
    for number, (x, y) in enumerate(zip(xs, ys, strict=True)):
        (point,) = axes.plot(x, y, "o", color=COLOURS[0], alpha=0.55, markersize=4)
        point.set_gid(f"tip-{number}")
    axes.plot(xs, best, color=COLOURS[3], linewidth=1.8, drawstyle="steps-post",
              label="best so far")  # fmt: skip
    axes.plot([], [], "o", color=COLOURS[0], alpha=0.55, label="a candidate")
    axes.set_xlabel(f"{name} of searching", color=INK, fontsize=9)
    axes.set_ylabel(f"{facts.measured}, %", color=INK, fontsize=9)
    _legend(axes, 2)
    tips = [
        f"candidate {n} of {len(ended)}, after {format_time(facts.moments[t.id])}\n"
        + told(t, facts.measured)
        for n, t in enumerate(ended, start=1)
    ]
    return _svg(figure, f"The best {facts.measured} over time", tips)


def importance_figure(found: Importances) -> str:
    """The hyperparameters that explain most, with the spread over folds and repetitions."""
    shown = found.each[:12][::-1]
    figure, axes = _figure(7.4, 0.8 + 0.34 * len(shown))
    axes.barh(
        [_short(each.name) for each in shown], [each.mean for each in shown],
        xerr=[each.deviation for each in shown], color=COLOURS[0], ecolor=INK, capsize=2,
        error_kw={"linewidth": 0.9}, height=0.62,
    )  # fmt: skip
    axes.axvline(0, color=INK, linewidth=0.8)
    words = "growth of the held-out error when shuffled, in variances of the score"
    axes.set_xlabel(words, color=INK, fontsize=9)
    return _svg(figure, "Importance of hyperparameters")


def parallel_figure(facts: Facts, names: Sequence[str]) -> str:
    """One line a candidate over the hyperparameters; the better, the more solid and the later."""
    known = {parameter.name: parameter for parameter in facts.space.parameters}
    axes_shown = [known[name] for name in names if name in known][:SHOWN_AXES]
    trials = sorted(facts.ranked, key=lambda trial: trial.score or 0.0)
    if len(axes_shown) < 2 or len(trials) < 2:
        return ""
    figure, axes = _figure(7.4, 3.6)
    scores = [trial.score or 0.0 for trial in trials]
    low, high = scores[0], scores[-1]
    ranges = [_range(parameter, trials) for parameter in axes_shown]
    faint = min(1.0, MANY / len(trials))
    for number, trial in enumerate(trials):
        ys = [_height(p, trial, r) for p, r in zip(axes_shown, ranges, strict=True)]
        share = ((trial.score or 0.0) - low) / ((high - low) or 1.0)
        best = number >= len(trials) - BEST
        (line,) = axes.plot(
            range(len(ys)), ys, color=COLOURS[1 if best else 0],
            alpha=0.9 if best else faint * (0.12 + 0.5 * share),
            linewidth=2.4 if best else 0.8, marker="." if len(trials) < MANY else "", markersize=3,
        )  # fmt: skip
        line.set_gid(f"tip-{number}")
    labels = [_short(parameter.name, 18) for parameter in axes_shown]
    axes.set_xticks(range(len(labels)), labels, rotation=22, ha="right", fontsize=8, color=INK)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(-0.3, len(labels) - 0.7), ylim=(-0.16, 1.1))
    for place, parameter in enumerate(axes_shown):
        for height, text in _ends(parameter, ranges[place]):
            axes.text(place, height, text, ha="center", va="center", fontsize=7, color=INK)
    return _svg(figure, "Candidates over the hyperparameters that mattered",
                [told(trial, facts.measured) for trial in trials])  # fmt: skip


def _range(parameter: Parameter, trials: Sequence[TrialRecord]) -> tuple[float, float]:
    there = [encoded(parameter, t.values) for t in trials if parameter.name in t.values]
    return (min(there), max(there)) if there else (0.0, 1.0)


def _height(parameter: Parameter, trial: TrialRecord, ends: tuple[float, float]) -> float:
    """The place on an axis, 0 to 1; not a number where the hyperparameter is not active."""
    if parameter.name not in trial.values:
        return float("nan")
    low, high = ends
    return (encoded(parameter, trial.values) - low) / (high - low) if high > low else 0.5


def _ends(parameter: Parameter, ends: tuple[float, float]) -> list[tuple[float, str]]:
    import math

    if parameter.kind == "choice" and not parameter.ordered:
        low, high = int(ends[0]), int(ends[1])
        names = [_short(str(option), 12) for option in parameter.options[low : high + 1]]
        step = 1 / max(1, high - low)
        return [(number * step + 0.045, name) for number, name in enumerate(names)][:8]
    if parameter.kind == "choice":
        values = [str(parameter.options[int(i)]) for i in ends if 0 <= i < len(parameter.options)]
    else:
        values = [_plain(math.exp(v) if parameter.log else v) for v in ends]
    return list(zip((-0.09, 1.07), [_short(v, 12) for v in values], strict=False))


def curves_figure(facts: Facts) -> str:
    """Validation accuracy by epoch of the best candidates."""
    figure, axes = _figure(7.4, 3.2)
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
    axes.set_xlabel("epoch", color=INK, fontsize=9)
    axes.set_ylabel("val accuracy, %", color=INK, fontsize=9)
    axes.locator_params(axis="x", integer=True)
    _legend(axes, 4)
    return _svg(figure, "Learning curves of the best candidates")


def rungs_figure(facts: Facts) -> str:
    """How many candidates were trained how long; nothing where all were trained alike."""
    lengths = sorted({trial.epochs for trial in facts.trials})
    if not find_strategy(facts.settings["strategy"]).multi_fidelity or len(lengths) < 2:
        return ""
    promoted = {trial.continues for trial in facts.trials}
    figure, axes = _figure(7.4, 2.6)
    names = [pluralize(length, "epoch") for length in lengths]
    below = [0] * len(lengths)
    for kind, colour, hatch in (
        ("went on or in full", 0, ""),
        ("stopped", 6, "//"),
        ("failed", 3, "xx"),
    ):
        counts = [
            sum(
                t.epochs == length and _fate(t, promoted, lengths[-1]) == kind for t in facts.trials
            )
            for length in lengths
        ]
        axes.barh(names, counts, left=below, color=COLOURS[colour], hatch=hatch, label=kind,
                  edgecolor=INK, linewidth=0.5, height=0.6)  # fmt: skip
        below = [a + b for a, b in zip(below, counts, strict=True)]
    axes.set_xlabel("candidates", color=INK, fontsize=9)
    axes.locator_params(axis="x", integer=True)
    _legend(axes, 3)
    return _svg(figure, "Survival of candidates over the rungs")


def _fate(trial: TrialRecord, promoted: set[str | None], full: int) -> str:
    if trial.status == "failed":
        return "failed"
    return "went on or in full" if trial.id in promoted or trial.epochs == full else "stopped"


def _short(name: str, longest: int = LONGEST_NAME) -> str:
    return name if len(name) <= longest else f"…{name[1 - longest :]}"
