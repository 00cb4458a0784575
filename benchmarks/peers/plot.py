"""Plots the results of ``peers.py``: test accuracy against time, parameters and MACs.

    python benchmarks/peers/plot.py --out benchmarks/peers/peers.png

A small mark is one seed, a large one the mean of a contender's seeds.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import mean

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from peers import HERE, read_results

AXES = (
    ("seconds", 1 / 60, "minutes, final training included"),
    ("params", 1e-3, "parameters (thousands)"),
    ("macs", 1e-6, "multiply-accumulates (millions)"),
)


def main() -> None:
    """Draws the results on one data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="cifar10k")
    parser.add_argument("--out", type=Path, default=HERE / "peers.png")
    asked = parser.parse_args()
    found = defaultdict(list)
    for one in read_results(HERE / "results.jsonl"):
        if one["data"] == asked.data:
            found[f"{one['contender']}, {one['minutes']:g} min"].append(one)
    figure, panels = plt.subplots(1, len(AXES), figsize=(12, 4.6), sharey=True)
    for panel, (key, unit, label) in zip(panels, AXES, strict=True):
        for place, (name, results) in enumerate(sorted(found.items())):
            x = [unit * one[key] for one in results]
            y = [100 * one["test_accuracy"] for one in results]
            panel.scatter(x, y, s=14, color=f"C{place}")
            panel.scatter(mean(x), mean(y), s=90, marker="D", color=f"C{place}", label=name)
        panel.set_xlabel(label)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("test accuracy (%)")
    names = panels[0].get_legend_handles_labels()
    figure.legend(*names, loc="lower center", ncols=4, fontsize=9, frameon=False)
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    figure.savefig(asked.out, dpi=110)


if __name__ == "__main__":
    main()
