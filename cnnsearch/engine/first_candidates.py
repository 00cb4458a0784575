"""The published networks that are among the first candidates of a search."""

from collections.abc import Sequence

from cnnsearch.architecture.cost import Budget
from cnnsearch.engine.settings import Settings
from cnnsearch.oracles.protocol import CheckFeasibility
from cnnsearch.space.published_points import PublishedPoint
from cnnsearch.utils.units import pluralize

MOST = 3
"""Published networks that are proposed, at most."""
SHARE = 3
"""One in so many candidates is a published network, at most."""
RESIZED = 2.0
"""Ratio of the images' height to that of the images that a network was published for, at most."""
DISTINCT = 1.1
"""Ratio of the multiply-accumulates of two published networks that are both proposed, at least."""


def choose_first(
    settings: Settings, points: Sequence[PublishedPoint], check: CheckFeasibility
) -> list[PublishedPoint]:
    """Returns the published networks that a search starts with.

    They meet the budget, and were published for images of about this size: one for 224x224 images
    shrinks those of 32x32 to a single value. Within a budget the most expensive come first, as
    larger networks are more accurate; without one the cheapest, as nothing else limits their time.
    A search that learns from earlier runs starts with their best candidates instead.

    Args:
        settings: of the search.
        points: the published networks of the space.
        check: of the budget.
    """
    search = settings.search
    if search.first == "none" or search.learn_from:
        return []
    sign = 1 if search.budget == Budget() else -1
    costs = {point.name: check(point.values) for point in points if _suits(point)}
    feasible = [p for p in points if p.name in costs and costs[p.name].is_feasible]
    macs = {point.name: costs[point.name].macs or 0 for point in feasible}
    chosen: list[PublishedPoint] = []
    for point in sorted(feasible, key=lambda p: sign * macs[p.name]):
        last = macs[chosen[-1].name] if chosen else 0
        if max(last, macs[point.name]) >= DISTINCT * min(last, macs[point.name]):
            chosen.append(point)
    return chosen[: MOST if search.trials is None else min(MOST, search.trials // SHARE)]


def _suits(point: PublishedPoint) -> bool:
    ratios = [a / b for a, b in zip(point.architecture.input, point.designed, strict=False)]
    return all(1 / RESIZED <= ratio <= RESIZED for ratio in ratios)


def describe_first(points: Sequence[PublishedPoint]) -> str:
    """Returns a line that names the published networks that a search starts with."""
    networks = pluralize(len(points), "published network")
    names = ", ".join(point.name for point in points)
    return f"Starts with {networks} of the space: {names} (--first none does without)."
