"""The default strategy: the one that wins where searches are replayed on trained networks."""

from dataclasses import dataclass

from cnnsearch.oracles.strategy import Strategy
from cnnsearch.oracles.surrogate import Surrogate

AUTO = "auto"
REPLAYED = 100  # most trials of the replays that the choice rests on (benchmarks/replay)


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
    elif max_trials is None or max_trials > REPLAYED:
        reason = f"the best of all up to {REPLAYED} trials in replays on 6,561 trained networks"
    else:
        reason = f"the best of all after {max_trials} trials in replays on 6,561 trained networks"
    return Choice(Surrogate, f"Strategy {name}: {reason}.")
