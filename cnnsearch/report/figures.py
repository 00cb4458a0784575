"""Draws the report's figures: inline SVG that takes the page's colours, light or dark."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from cnnsearch.architecture.costs import CostKind
from cnnsearch.oracles import find_strategy
from cnnsearch.report.canvas import (
    COLOURS,
    INK,
    MOST_TIPS,
    Canvas,
    label_axes,
    render_legend,
    render_svg,
)
from cnnsearch.report.facts import Facts
from cnnsearch.report.importance import Importances
from cnnsearch.runs.cost_axis import set_cost_ticks
from cnnsearch.runs.ranking import find_pareto_front
from cnnsearch.runs.records import TrialRecord, shorten_family
from cnnsearch.utils.units import format_time, pluralize

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")
MOST_FAMILIES = 6
"""That have a colour of their own; the others share the last one."""
LONGEST_NAME = 34
PROMOTED = "promoted or fully trained"
OUTCOMES = ((PROMOTED, 0, ""), ("stopped", 6, "//"), ("failed", 3, "xx"))


def describe_trial(trial: TrialRecord, facts: Facts) -> str:
    """Returns the tooltip of a candidate."""
    costs = [(kind, kind.read(trial)) for kind in facts.columns]
    lines = [
        f"trial {trial.id}, {trial.family}",
        f"{facts.measured} {trial.score or 0.0:.2%}",
        ", ".join(kind.describe(amount) for kind, amount in costs if amount is not None),
        *(f"{name} = {format_value(value)}" for name, value in list(trial.values.items())[:14]),
    ]
    return "\n".join(lines)


def format_value(value: object) -> str:
    """Returns a hyperparameter's value for a tooltip or an axis."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def draw_front(facts: Facts, kind: CostKind, canvas: Canvas) -> str:
    """Draws scores against a cost; a line joins the Pareto front of both."""
    found = [trial for trial in facts.ranked if kind.read(trial)]
    costs = [kind.read(trial) or 0.0 for trial in found]
    figure, axes = canvas.create(4.2)
    names = group_families(found)
    styles = dict.fromkeys(names.values())
    looks = {name: (MARKERS[n], COLOURS[n]) for n, name in enumerate(styles)}
    front = find_pareto_front(found, (kind,))
    ends = {trial.id for trial in front}
    for family, (marker, colour) in looks.items():
        rest = [t for t in found[MOST_TIPS:] if names[t.family] == family and t.id not in ends]
        axes.plot([kind.read(t) or 0.0 for t in rest], [100 * (t.score or 0) for t in rest], marker,
                  color=colour, markersize=5.5, alpha=0.65, markeredgecolor="none")  # fmt: skip
    for number, (trial, cost) in enumerate(zip(found, costs, strict=True)):
        if number >= MOST_TIPS and trial.id not in ends:
            continue
        marker, colour = looks[names[trial.family]]
        (point,) = axes.plot(
            cost, 100 * (trial.score or 0.0), marker, color=colour,
            markersize=8 if trial.id in ends else 5.5, alpha=1.0 if trial.id in ends else 0.65,
            markeredgecolor=INK if trial.id in ends else "none", markeredgewidth=0.8,
        )  # fmt: skip
        point.set_gid(f"tip-{number}")
    axes.plot([kind.read(t) or 0.0 for t in front], [100 * (t.score or 0) for t in front],
              color=INK, linewidth=1, drawstyle="steps-post", zorder=1)  # fmt: skip
    set_cost_ticks(axes, kind, costs, 5 if canvas.is_narrow else 7)
    label_axes(axes, f"{kind.title} (log scale)", f"{facts.measured}, %")
    label = f"{len(found)} candidates: {facts.measured} against {kind.title}"
    drawn = render_svg(figure, label, [describe_trial(trial, facts) for trial in found])
    return drawn + render_legend(
        [*((name, *look) for name, look in looks.items()), ("Pareto front", "-", INK)]
    )


def group_families(trials: Sequence[TrialRecord]) -> dict[str, str]:
    """Returns a short name for each family: at most ``MOST_FAMILIES`` names.

    Mixed networks are grouped by their first family if there are more; then the rarest share one.
    """
    families = [trial.family for trial in trials]
    names = {family: shorten_family(family) for family in families}
    if len(set(names.values())) > MOST_FAMILIES:
        names = {family: _name_first(family) for family in families}
    counts = Counter(names[family] for family in families)
    if len(counts) > MOST_FAMILIES:
        kept = {name for name, _ in counts.most_common(MOST_FAMILIES - 1)}
        others = f"{len(counts) - len(kept)} others"
        names = {family: name if name in kept else others for family, name in names.items()}
    return dict(sorted(names.items(), key=lambda each: (each[1].endswith(" others"), each[1])))


def _name_first(family: str) -> str:
    first, plus, _ = family.partition("+")
    return f"{first} and more" if plus else first


def draw_progress(facts: Facts, canvas: Canvas) -> str:
    """Draws scores over time, and the best so far."""
    ended = [t for t in facts.trials if t.score is not None and t.id in facts.moments]
    ended.sort(key=lambda trial: facts.moments[trial.id])
    unit, name = (3600.0, "hours") if facts.seconds > 7200 else (60.0, "minutes")
    xs = [facts.moments[trial.id] / unit for trial in ended]
    ys = [100 * (trial.score or 0.0) for trial in ended]
    best = list(accumulate(ys, max))
    figure, axes = canvas.create(3.0)
    labelled = {trial.id for trial in facts.ranked[:MOST_TIPS]}
    rest = [(x, y) for trial, x, y in zip(ended, xs, ys, strict=True) if trial.id not in labelled]
    look: dict[str, Any] = {"color": COLOURS[0], "alpha": 0.55, "markersize": 4}
    axes.plot([x for x, _ in rest], [y for _, y in rest], "o", **look)
    for number, (trial, x, y) in enumerate(zip(ended, xs, ys, strict=True)):
        if trial.id in labelled:
            (point,) = axes.plot(x, y, "o", **look)
            point.set_gid(f"tip-{number}")
    axes.plot(xs, best, color=COLOURS[3], linewidth=1.8, drawstyle="steps-post")
    label_axes(axes, f"search time, {name}", f"{facts.measured}, %")
    tips = [
        f"candidate {n} of {len(ended)}, after {format_time(facts.moments[t.id])}\n"
        + describe_trial(t, facts)
        for n, t in enumerate(ended, start=1)
    ]
    legend = [("best so far", "-", COLOURS[3]), ("a candidate", "o", COLOURS[0])]
    drawn = render_svg(figure, f"The best {facts.measured} over time", tips)
    return drawn + render_legend(legend)


def draw_importance(found: Importances, canvas: Canvas) -> str:
    """Draws the most important hyperparameters, with standard deviations."""
    shown = found.each[:12][::-1]
    figure, axes = canvas.create(0.8 + 0.34 * len(shown))
    places = range(len(shown))  # not by name: shortened names may be the same
    axes.barh(
        places, [each.mean for each in shown], xerr=[each.deviation for each in shown],
        color=COLOURS[0], ecolor=INK, capsize=2, error_kw={"linewidth": 0.9}, height=0.62,
    )  # fmt: skip
    longest = 20 if canvas.is_narrow else LONGEST_NAME
    axes.set_yticks(places, [shorten(each.name, longest) for each in shown])
    axes.axvline(0, color=INK, linewidth=0.8)
    more = "" if canvas.is_narrow else ", in variances of the score"
    label_axes(axes, f"increase of the error when shuffled{more}")
    return render_svg(figure, "Importance of hyperparameters")


def draw_curves(facts: Facts, canvas: Canvas) -> str:
    """Draws validation accuracy by epoch of the best candidates."""
    figure, axes = canvas.create(3.2)
    legend = []
    for number, (trial, history) in enumerate(facts.curves.items()):
        points = [(e["epoch"], 100 * e["val_accuracy"]) for e in history if "val_accuracy" in e]
        if len(points) < 2:
            continue
        dash, colour = DASHES[number // 2 % 4], COLOURS[number % len(COLOURS)]
        axes.plot(*zip(*points, strict=True), dash, linewidth=1.5, color=colour)
        legend.append((f"trial {trial}", dash, colour))
    if not legend:
        return ""
    axes.locator_params(axis="x", integer=True)
    label_axes(axes, "epoch", "val accuracy, %")
    return render_svg(figure, "Learning curves of the best candidates") + render_legend(legend)


def draw_rungs(facts: Facts, canvas: Canvas) -> str:
    """Draws how many candidates each rung trained and promoted; nothing if there is one rung."""
    rungs = sorted({trial.epochs for trial in facts.trials})
    if not find_strategy(facts.settings["strategy"]).multi_fidelity or len(rungs) < 2:
        return ""
    promoted = {trial.continues for trial in facts.trials}
    outcomes = Counter((_classify(t, promoted, rungs[-1]), t.epochs) for t in facts.trials)
    figure, axes = canvas.create(2.6)
    names, left = [pluralize(epochs, "epoch") for epochs in rungs], [0] * len(rungs)
    for outcome, colour, hatch in OUTCOMES:
        counts = [outcomes[outcome, epochs] for epochs in rungs]
        axes.barh(names, counts, left=left, color=COLOURS[colour], hatch=hatch,
                  edgecolor=INK, linewidth=0.5, height=0.6)  # fmt: skip
        left = [a + b for a, b in zip(left, counts, strict=True)]
    axes.locator_params(axis="x", integer=True)
    label_axes(axes, "candidates")
    legend = [(outcome, "s", COLOURS[colour]) for outcome, colour, _ in OUTCOMES]
    return render_svg(figure, "Promotion of candidates over the rungs") + render_legend(legend)


def _classify(trial: TrialRecord, promoted: set[str | None], last_rung: int) -> str:
    if trial.status == "failed":
        return "failed"
    return PROMOTED if trial.id in promoted or trial.epochs == last_rung else "stopped"


def shorten(name: str, longest: int = LONGEST_NAME) -> str:
    """Returns the end of a name that is too long for its place."""
    return name if len(name) <= longest else f"…{name[1 - longest :]}"
