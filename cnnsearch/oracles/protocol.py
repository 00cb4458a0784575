"""The words that an oracle and its caller exchange; free of Keras Tuner, so cheap to import."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from cnnsearch.space.choices import Parameter


@dataclass(frozen=True)
class Verdict:
    """What is known of a candidate before anything is built.

    Attributes:
        accepted: Whether it can be wired and meets the budget.
        reason: Why it was refused: ``"budget"`` or ``"invalid"``; None if accepted.
        fingerprint: Equal for two candidates iff architecture and recipe are equal.
        params: Trainable parameters, or None where the candidate cannot be counted.
        macs: Multiply-accumulates, or None where the candidate cannot be counted.
    """

    accepted: bool
    reason: str | None
    fingerprint: str
    params: int | None = None
    macs: int | None = None


Judge = Callable[[Mapping[str, Any]], Verdict]


@dataclass
class Draws:
    """How many candidates were drawn, and what became of those that were not proposed.

    Attributes:
        drawn: All draws: those proposed and the three below.
        over_budget: Draws refused because they cost more than the budget.
        invalid: Draws that could not be wired.
        duplicates: Draws that had already been proposed.
        smallest_params: Fewest trainable parameters among all draws, or None before the first.
        smallest_macs: Fewest multiply-accumulates among all draws, or None before the first.
    """

    drawn: int = 0
    over_budget: int = 0
    invalid: int = 0
    duplicates: int = 0
    smallest_params: int | None = None
    smallest_macs: int | None = None


@dataclass(frozen=True)
class Proposal:
    """A candidate to train.

    Attributes:
        trial_id: Name of the trial, unique in its search, sortable: ``"0001"``, ``"0002"`` …
        number: The trial's place in the order of proposals, from 1.
        values: The active hyperparameters, as ``SearchSpace.decode`` takes them.
        epochs: Epoch to train up to (not how many more).
        initial_epoch: Epochs already trained by ``continues``; 0 for a new candidate.
        continues: The trial from whose checkpoint this one goes on (Hyperband's promotions).
        fingerprint: The judge's fingerprint of the candidate.
        repeated: Whether it is proposed again because a restart found its trial running.
    """

    trial_id: str
    number: int
    values: dict[str, Any] = field(hash=False)
    epochs: int
    initial_epoch: int = 0
    continues: str | None = None
    fingerprint: str = ""
    repeated: bool = False


class Signal(Enum):
    """An answer of ``propose`` without a candidate in it."""

    WAIT = "wait"
    """Nothing to propose until a running trial has ended."""
    DONE = "done"
    """Nothing will be proposed again; ``SearchOracle.reason`` says why."""


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
    """What the driver asks: who proposes, and learns how it went."""

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
class Setup:
    """What every strategy is made from; see ``create_oracle``."""

    space: Space
    judge: Judge
    store: Store
    max_trials: int | None
    epochs: int
    seed: int
