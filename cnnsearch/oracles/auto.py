"""The default strategy: the one that wins where searches are replayed on trained networks."""

from dataclasses import dataclass

from cnnsearch.oracles.strategy import Strategy
from cnnsearch.oracles.surrogate import Surrogate

AUTO = "auto"
REPLAYED = (10, 100)
"""Fewest and most trials at which the replays compare strategies (benchmarks/replay)."""


@dataclass(frozen=True)
class Choice:
    """What ``auto`` stands for in a search.

    Attributes:
        strategy: The strategy.
        reason: Why, in one line.
    """

    strategy: type[Strategy]
    reason: str


def choose_strategy(max_trials: int | None, size: int | None = None) -> Choice:
    """Returns the strategy that does best in the replays after so many trials.

    Args:
        max_trials: Candidates requested; None for no limit.
        size: Candidates of the space, at most; None if unknown.
    """
    name = Surrogate.name
    if size is not None and max_trials is not None and size <= max_trials:
        reason = f"all {size:,} candidates of the space will be trained, and it is soon at the best"
    else:
        low, high = REPLAYED
        reason = f"the best in replays of {low} to {high} trials on 6,561 trained networks"
    return Choice(Surrogate, f"Strategy {name}: {reason}.")
