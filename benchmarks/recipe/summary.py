"""Prints what each lever of the recipe gains, from the trainings of ablation.py, and draws it.

    python -m benchmarks.recipe.summary RESULTS.jsonl --plot ABLATION.png

A lever's gain is the difference of the last epoch's accuracy to the same network, seed and number
of epochs without it. Intervals are over networks: bootstrap, 95 %.
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.recipe.ablation import LEVERS, LONG, MEDIUM, SHORT, Run
from cnnsearch.studies.fidelity.statistics import bootstrap_interval, compute_spearman
from cnnsearch.studies.figures import COLORS, draw_grid, save_figure

RANKED = (
    ("base", "base"), ("whitening", "base"), ("together", "base"), ("together+muon", "base"),
    ("base", "together"), ("together", "together"), ("together+muon", "together"),
)  # fmt: skip
"""Levers of short trainings, and of the long ones that they should rank networks as."""

Scores = Mapping[Run, float]


@dataclass(frozen=True)
class Gains:
    """What a lever gains in trainings of one length, in points of accuracy.

    Attributes:
        lever: its name.
        epochs: of each training.
        points: of each network, the mean over seeds.
    """

    lever: str
    epochs: int
    points: Sequence[float]

    @property
    def mean(self) -> float:
        """Over networks."""
        return float(np.mean(self.points))

    @property
    def interval(self) -> tuple[float, float]:
        """Of the mean."""
        return bootstrap_mean(self.points)


def bootstrap_mean(values: Sequence[float]) -> tuple[float, float]:
    """Returns the 95 % interval of a mean."""
    found = stats.bootstrap((values,), np.mean, random_state=np.random.default_rng(0))
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def read_scores(file: Path) -> dict[Run, float]:
    """Returns the last epoch's accuracy of each training."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return {Run(*(row[key] for key in Run._fields)): row["curve"][-1] for row in rows}


def average_seeds(scores: Scores, lever: str, epochs: int) -> dict[str, float]:
    """Returns the mean accuracy of each network that was trained so."""
    found: dict[str, list[float]] = {}
    for run, score in scores.items():
        if (run.lever, run.epochs) == (lever, epochs):
            found.setdefault(run.network, []).append(score)
    return {network: float(np.mean(each)) for network, each in found.items()}


def compare(scores: Scores, lever: str, epochs: int) -> Gains:
    """Returns a lever's gains."""
    base, other = (average_seeds(scores, name, epochs) for name in ("base", lever))
    return Gains(
        lever, epochs, [100 * (other[name] - base[name]) for name in other if name in base]
    )


def compare_epochs(scores: Scores, lever: str) -> list[float]:
    """Returns how many times SHORT's epochs the base needs for what a lever reaches in them.

    Interpolated in the logarithm of the epochs between trainings of SHORT, MEDIUM and LONG epochs,
    each with its own schedule; beyond LONG, LONG counts.
    """
    lengths = (SHORT, MEDIUM, LONG)
    base = [average_seeds(scores, "base", epochs) for epochs in lengths]
    reached = average_seeds(scores, lever, SHORT)
    ratios = []
    for name in sorted(set(reached).intersection(*base)):
        curve = np.maximum.accumulate([each[name] for each in base])
        needed = np.interp(reached[name], curve, np.log(lengths))
        ratios.append(math.exp(needed) / SHORT)
    return ratios


def compare_ranks(scores: Scores, short: str, long: str) -> str:
    """Returns the rank correlation of short trainings with a lever with long ones with another."""
    before, after = average_seeds(scores, short, SHORT), average_seeds(scores, long, LONG)
    names = sorted(set(before) & set(after))
    found = bootstrap_interval(
        compute_spearman, [before[name] for name in names], [after[name] for name in names]
    )
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f}), {len(names)} networks"


def draw(gains: Sequence[Gains], file: Path) -> None:
    """Draws each network's gain and the mean with its interval, a line for each lever."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 0.42 * len(gains) + 1.2), layout="constrained")
    axes = figure.subplots()
    for y, one in enumerate(reversed(gains)):
        low, high = one.interval
        axes.plot(one.points, [y] * len(one.points), "o", color=COLORS[5], alpha=0.6, markersize=4)
        axes.plot([low, high], [y, y], color=COLORS[0], linewidth=3)
        axes.plot(one.mean, y, "D", color=COLORS[0], markersize=6)
    axes.axvline(0, color=COLORS[7], linewidth=0.8)
    axes.set_yticks(range(len(gains)), [describe(one) for one in reversed(gains)])
    axes.set_xlabel("gain in accuracy on validation images, points")
    draw_grid(axes)
    save_figure(figure, file)


def describe(one: Gains) -> str:
    """Names a lever and the length of its trainings."""
    return f"{one.lever}, {one.epochs} epochs"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    scores = read_scores(args.results)
    levers: list[Any] = [(lever, SHORT) for lever in LEVERS if lever != "base"]
    gains = [compare(scores, lever, epochs) for lever, epochs in [*levers, ("together", LONG)]]
    gains = [one for one in gains if len(one.points) > 2]
    print(f"{'lever':<28}{'networks':>9}{'better':>8}{'gain':>8}   95 % interval")
    for one in gains:
        low, high = one.interval
        better = sum(point > 0 for point in one.points)
        interval = f"{low:+.2f} to {high:+.2f}"
        print(f"{describe(one):<28}{len(one.points):>9}{better:>8}{one.mean:>+8.2f}   {interval}")
    print(f"\nEpochs that the base needs for what a lever reaches in {SHORT}, geometric mean:")
    for lever in ("whitening", "together", "together+muon"):
        ratios = compare_epochs(scores, lever)
        low, high = np.exp(bootstrap_mean(np.log(ratios).tolist()))
        mean = math.exp(np.mean(np.log(ratios)))
        times = f"{mean:.2f} times as many ({low:.2f} to {high:.2f})"
        print(f"{lever}: {times}, {len(ratios)} networks")
    print(f"\nRank correlation of {SHORT} epochs with {LONG}:")
    for short, long in RANKED:
        print(f"{short} with {long}: {compare_ranks(scores, short, long)}")
    if args.plot:
        draw(gains, args.plot)


if __name__ == "__main__":
    main()
