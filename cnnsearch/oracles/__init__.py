"""Search strategies, hosted by one durable Keras Tuner oracle.

In: a search space, a feasibility check, a store, a seed, and the outcomes of trials. Out: proposals
of candidates to train. This room alone imports Keras Tuner, and only when an oracle or a hypermodel
is made.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cnnsearch.errors import CnnsearchError, suggest
from cnnsearch.oracles.asha import Asha
from cnnsearch.oracles.auto import AUTO, choose_strategy
from cnnsearch.oracles.bayesian import BayesianOptimization
from cnnsearch.oracles.evolution import RegularizedEvolution
from cnnsearch.oracles.grid import GridSearch
from cnnsearch.oracles.hyperband import Hyperband
from cnnsearch.oracles.pareto import ParetoEvolution
from cnnsearch.oracles.pasha import Pasha
from cnnsearch.oracles.points import Values
from cnnsearch.oracles.protocol import CheckFeasibility, Earlier, Setup, Space, Store
from cnnsearch.oracles.random_search import RandomSearch
from cnnsearch.oracles.strategy import Strategy
from cnnsearch.oracles.surrogate import Surrogate

if TYPE_CHECKING:
    from cnnsearch.architecture.costs import CostKind
    from cnnsearch.oracles.search_oracle import SearchOracle

STRATEGIES: tuple[type[Strategy], ...] = (
    RegularizedEvolution,
    RandomSearch,
    BayesianOptimization,
    Surrogate,
    Hyperband,
    Asha,
    Pasha,
    ParetoEvolution,
    GridSearch,
)
DEFAULT_STRATEGY = AUTO

__all__ = [
    "AUTO",
    "DEFAULT_STRATEGY",
    "STRATEGIES",
    "Strategy",
    "choose_strategy",
    "create_oracle",
    "describe_strategies",
    "find_strategy",
    "name_guided",
    "name_learners",
    "name_strategies",
]


def describe_strategies() -> str:
    """Returns help for ``--strategy``: each name, what it does, and its paper."""
    described = (
        f"{s.name} ({s.summary}{f', arXiv:{s.paper}' if s.paper else ''})" for s in STRATEGIES
    )
    return f"{AUTO} (what wins in replays: {find_strategy(AUTO).name}); {'; '.join(described)}."


def name_strategies(option: str) -> str:
    """Returns the names of the strategies that take an option, for its help and errors."""
    return ", ".join(s.name for s in STRATEGIES if option in s.options)


def name_guided() -> str:
    """Returns the names of the strategies that scores guide."""
    return ", ".join(s.name for s in STRATEGIES if s.is_guided)


def name_learners() -> str:
    """Returns the names of the strategies that learn from earlier runs."""
    return ", ".join(s.name for s in STRATEGIES if s.learns)


def find_strategy(name: str, label: str = "strategy") -> type[Strategy]:
    """Returns the strategy of this name.

    Args:
        name: As :attr:`Strategy.name`, or ``auto``.
        label: How the error calls the setting, such as ``--strategy``.

    Raises:
        CnnsearchError: There is none.
    """
    known = {AUTO: choose_strategy(None).strategy, **{each.name: each for each in STRATEGIES}}
    if name not in known:
        expected = ", ".join(known)
        raise CnnsearchError(f"{label}: expected {expected}, got {name!r}{suggest(name, known)}")
    return known[name]


def create_oracle(
    strategy: str,
    space: Space,
    *,
    check: CheckFeasibility,
    store: Store,
    max_trials: int | None,
    epochs: int,
    seed: int,
    options: Mapping[str, int] | None = None,
    costs: "tuple[CostKind, ...]" = (),
    earlier: Earlier = (),
    first: Sequence[Values] = (),
) -> "SearchOracle":
    """Creates an oracle, or restores the one that the store holds.

    Args:
        strategy: Name of one of ``STRATEGIES``.
        space: The search space.
        check: Returns whether a candidate can be wired and meets the budget.
        store: Keeps the state. Trials that were running when it was saved are proposed again first.
        max_trials: Distinct candidates to train that do not fail; those that do are replaced, up to
            twice as many in all (or ten more). None for no limit
            (and, for Hyperband, for one pass of its schedule).
        epochs: Epochs of a candidate; the largest number of a multi-fidelity strategy.
        seed: The same seed gives the same candidates in the same order.
        options: Of the strategy's own, see :attr:`Strategy.options`.
        costs: Objectives beside the score, for a multi-objective strategy; none: MACs.
        earlier: Results of other searches, for a strategy that learns from them.
        first: Candidates that a strategy guided by scores starts with.

    Raises:
        CnnsearchError: A strategy of another name, or a number below one.
        RunError: The store holds the state of another strategy or seed.
    """
    chosen = find_strategy(strategy)
    for name, number in (("trials", max_trials), ("epochs", epochs)):
        if number is not None and number < 1:
            raise CnnsearchError(f"{name} must be at least 1, got {number}")
    from cnnsearch.oracles.search_oracle import SearchOracle  # imports Keras Tuner

    start = tuple(first) if chosen.is_guided else ()
    setup = Setup(
        space, check, store, max_trials, epochs, seed, options or {}, costs, earlier, start
    )
    return SearchOracle(chosen(), setup)
