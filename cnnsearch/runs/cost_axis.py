"""The logarithmic axis of figures that show scores against a cost."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from cnnsearch.architecture.costs import CostKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TICKS: Final = 7


def set_cost_ticks(
    axes: "Axes", kind: CostKind, values: Sequence[float], most: int = MOST_TICKS
) -> None:
    """Makes the horizontal axis logarithmic, with ticks such as 200K, 500K, 1M."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    low, high = min(values), max(values)
    margin = (high / low) ** 0.04 if high > low else 1.3
    low, high = low / margin, high * margin
    ticks = choose_ticks(low, high, most)
    names = [kind.name_tick(tick) for tick in ticks]
    if len(set(names)) < len(names):  # the candidates cost almost the same
        ticks = [ticks[0], ticks[-1]]
        names = [f"{tick:,.0f}" for tick in ticks]
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, names)
    axes.xaxis.set_minor_locator(NullLocator())


def choose_ticks(low: float, high: float, most: int = MOST_TICKS) -> list[float]:
    """Returns round numbers between two, evenly spaced on a logarithmic axis if they can be."""
    for steps in ((1, 2, 5), (1, 3), (1,)):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            break
    if len(ticks) >= 3:
        return ticks[:: math.ceil(len(ticks) / most)]
    step = 10.0 ** math.floor(math.log10(high - low))
    sizes = (step * factor for factor in (0.2, 0.5, 1, 2, 5, 10))
    step = next(size for size in sizes if (high - low) / size <= most - 1)
    return [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
