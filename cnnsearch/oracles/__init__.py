"""Search strategies: Keras Tuner's, made durable and budgeted, and ours beside them.

This package alone imports Keras Tuner, and only when an oracle or a hypermodel is made.
"""

from typing import TYPE_CHECKING

from cnnsearch.errors import CnnsearchError, nearest
from cnnsearch.oracles.protocol import (
    DONE,
    WAIT,
    Draws,
    Judge,
    Proposal,
    Setup,
    Signal,
    Space,
    Store,
    Verdict,
)

if TYPE_CHECKING:
    from cnnsearch.oracles.facade import SearchOracle

STRATEGIES = ("evolution", "random", "bayesian", "hyperband", "grid")

__all__ = [
    "DONE",
    "STRATEGIES",
    "WAIT",
    "Draws",
    "Judge",
    "Proposal",
    "Signal",
    "Space",
    "Store",
    "Verdict",
    "create_oracle",
]


def create_oracle(
    strategy: str,
    space: Space,
    *,
    judge: Judge,
    store: Store,
    max_trials: int | None,
    epochs: int,
    seed: int,
) -> "SearchOracle":
    """Makes an oracle, or goes on with the one that the store holds.

    Args:
        strategy: ``"evolution"`` (regularized evolution, arXiv:1802.01548), ``"random"``,
            ``"bayesian"`` (Gaussian process), ``"hyperband"`` or ``"grid"``.
        space: The search space.
        judge: Says of the active values of a candidate whether it can be wired and meets the
            budget.
        store: Keeps the state. Trials that it knows as running are proposed again first.
        max_trials: Distinct candidates to train that do not fail; those that do are replaced, up to
            twice as many in all (or ten more). None for no limit
            (and, for Hyperband, for one pass of its schedule).
        epochs: Epochs of a candidate; Hyperband's largest number.
        seed: The same seed gives the same candidates in the same order.

    Returns:
        The oracle.

    Raises:
        CnnsearchError: A strategy of another name, or a number below one.
        RunError: The store holds the state of another strategy or seed.
    """
    if strategy not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise CnnsearchError(
            f"strategy must be one of {known}, got {strategy!r}{nearest(strategy, STRATEGIES)}"
        )
    for name, number in (("trials", max_trials), ("epochs", epochs)):
        if number is not None and number < 1:
            raise CnnsearchError(f"{name} must be at least 1, got {number}")
    return _make(strategy, Setup(space, judge, store, max_trials, epochs, seed))


def _make(strategy: str, setup: Setup) -> "SearchOracle":
    from cnnsearch.oracles.bayesian import BayesianOracle
    from cnnsearch.oracles.evolution import EvolutionOracle
    from cnnsearch.oracles.facade import SearchOracle
    from cnnsearch.oracles.grid import GridOracle
    from cnnsearch.oracles.hyperband import HyperbandOracle
    from cnnsearch.oracles.random_search import RandomOracle

    kinds = (EvolutionOracle, RandomOracle, BayesianOracle, HyperbandOracle, GridOracle)
    return SearchOracle({kind.strategy: kind for kind in kinds}[strategy](setup))
