"""What an oracle and its caller exchange; free of Keras Tuner, so cheap to import."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, Protocol, Self

from cnnsearch.architecture.costs import BOUNDED, COSTS, read_costs

if TYPE_CHECKING:
    from cnnsearch.architecture.cost import Cost
    from cnnsearch.architecture.costs import CostKind
    from cnnsearch.space.choices import Parameter


@dataclass(frozen=True)
class Feasibility:
    """What is known of a candidate before anything is built.

    Attributes:
        is_feasible: Whether it can be wired and meets the budget.
        reason: Why it is infeasible: ``"budget"``, ``"time"`` or ``"invalid"``; else None.
        identify: Returns the fingerprint, which takes longer than the rest.
        cost: What was counted; None where the candidate cannot be wired.
        size: The sum of the logarithms of its costs: where nothing is feasible yet, the search goes
            on from the smallest.
    """

    is_feasible: bool
    reason: str | None
    identify: Callable[[], str]
    cost: "Cost | None" = None
    size: float = math.inf

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates, or None where the candidate cannot be wired."""
        return None if self.cost is None else self.cost.macs

    @cached_property
    def fingerprint(self) -> str:
        """Equal for two feasible candidates iff wiring and recipe are equal."""
        return self.identify()


CheckFeasibility = Callable[[Mapping[str, Any]], Feasibility]
"""Takes the active values of a candidate."""


@dataclass
class Draws:
    """Counts of drawn candidates, by what became of them.

    Attributes:
        drawn: All draws: those proposed and the four below.
        over_budget: Draws that cost more than the budget.
        invalid: Draws that could not be wired.
        duplicates: Draws of a network that had already been proposed.
        too_slow: Draws that were predicted to train for too long.
        smallest: The least of each cost among all draws, by its key; empty before the first.
    """

    drawn: int = 0
    over_budget: int = 0
    invalid: int = 0
    duplicates: int = 0
    too_slow: int = 0
    smallest: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_data(cls, counts: Mapping[str, Any]) -> Self:
        """Reads what ``asdict`` returned, also in 0.1, which had no table of smallest costs."""
        old = {key.removeprefix("smallest_"): value for key, value in counts.items()}
        smallest = {kind.key: old[kind.key] for kind in COSTS if old.get(kind.key) is not None}
        names = ("drawn", "over_budget", "invalid", "duplicates", "too_slow")
        found = {name: counts.get(name, 0) for name in names}
        return cls(**found, smallest=counts.get("smallest", smallest))

    def add_costs(self, cost: "Cost | None") -> None:
        """Takes the costs of one more draw into account."""
        for key, found in read_costs(cost).items():
            if found is not None:
                self.smallest[key] = min(found, self.smallest.get(key, found))

    def describe_smallest(self) -> str:
        """Returns the least of each cost that can be bounded, in words."""
        known = [kind for kind in BOUNDED if kind.key in self.smallest]
        return ", ".join(kind.describe_exactly(self.smallest[kind.key]) for kind in known)


@dataclass(frozen=True)
class Proposal:
    """A candidate to train.

    Attributes:
        trial_id: Name of the trial, unique in its search, sortable: ``"0001"``, ``"0002"`` …
        number: The trial's place in the order of proposals, from 1.
        values: The active hyperparameters, as ``SearchSpace.decode`` takes them.
        epochs: Epoch to train up to (not how many more).
        initial_epoch: Epochs already trained by ``continues``; 0 for a new candidate.
        continues: The trial whose checkpoint this one continues from (Hyperband's promotions).
        fingerprint: Of the candidate, see :class:`Feasibility`.
        repeated: Whether it is proposed again because a restart found its trial running.
        role: ``"baseline"`` for one that no strategy chose; else empty.
    """

    trial_id: str
    number: int
    values: dict[str, Any] = field(hash=False)
    epochs: int
    initial_epoch: int = 0
    continues: str | None = None
    fingerprint: str = ""
    repeated: bool = False
    role: str = ""


class Signal(Enum):
    """An answer of ``propose`` without a candidate in it."""

    WAIT = "wait"
    """Nothing to propose until a running trial has ended."""
    DONE = "done"
    """Nothing will be proposed again; the reason is in ``SearchOracle.reason``."""


WAIT = Signal.WAIT
DONE = Signal.DONE


class Space(Protocol):
    """The part of ``SearchSpace`` that an oracle needs."""

    @property
    def parameters(self) -> "Sequence[Parameter]":
        """The hyperparameters, parents first."""

    def sample(self, rng: Random) -> dict[str, Any]:
        """Draws active values at random."""


class Oracle(Protocol):
    """What the driver needs of an oracle."""

    @property
    def draws(self) -> Draws:
        """How many candidates were drawn, and what became of those that were not proposed."""

    @property
    def reason(self) -> str | None:
        """Why none is proposed any more; None: there may be more."""

    def propose(self, slot: str) -> Proposal | Signal:
        """Returns the next candidate to train, WAIT or DONE."""

    def complete(self, trial_id: str, score: float) -> None:
        """Records the score of a running trial."""

    def fail(self, trial_id: str, reason: str) -> None:
        """Records that a running trial ended without a score."""


class Store(Protocol):
    """Where an oracle keeps its state; each save is one transaction."""

    def load_oracle(self) -> tuple[str | None, list[str]]:
        """Returns the saved state, or None, and the saved trials in the order of their creation."""

    def save_oracle(self, state: str, trials: Mapping[str, str], order: Mapping[str, int]) -> None:
        """Saves the state and the trials that changed, with their places in the order."""


@dataclass(frozen=True)
class EarlierResult:
    """A finished candidate of another search: its values, score and multiply-accumulates."""

    values: Mapping[str, Any]
    score: float
    macs: int | None


Earlier = tuple[tuple[EarlierResult, ...], ...]
"""The results of earlier searches, one tuple a search."""


@dataclass(frozen=True)
class Setup:
    """What every strategy is made from; see ``create_oracle``."""

    space: Space
    check: CheckFeasibility
    store: Store
    max_trials: int | None
    epochs: int
    seed: int
    options: Mapping[str, int] = field(default_factory=dict)
    costs: tuple["CostKind", ...] = ()
    earlier: Earlier = ()
    first: tuple[dict[str, Any], ...] = ()
