"""The interface of a search strategy: what it declares about itself and what it decides."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from random import Random
from typing import ClassVar

from cnnsearch.architecture.costs import CostKind
from cnnsearch.oracles.points import Values
from cnnsearch.oracles.protocol import CheckFeasibility, Earlier, Setup, Space


@dataclass(frozen=True)
class Trial:
    """A proposed candidate and its outcome so far.

    Attributes:
        id: Name of the trial, in order of proposal: ``"0001"``, ``"0002"`` …
        values: Active hyperparameters, parents first.
        status: ``"RUNNING"``, ``"COMPLETED"`` or ``"FAILED"``.
        score: The objective, higher is better; None unless completed.
        promotes: The trial that this one continues from its checkpoint, if any.
        notes: What the strategy stored with the trial, see :class:`Step`.
    """

    id: str
    values: Values
    status: str
    score: float | None = None
    promotes: str | None = None
    notes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class History:
    """All that a proposal depends on, beside its random make_stream.

    Attributes:
        space: The search space.
        trials: All trials in order of proposal, by id.
        completed: Completed trials in the order in which they ended.
        epochs: The full budget of a candidate.
        max_trials: Candidates requested; None for no limit.
        can_draw: Whether another fresh candidate may be proposed.
        seed: Of the search.
        check: Returns the feasibility and the cost of any candidate.
        keep_feasible: Removes from a pool what cannot be proposed, and counts that as drawn.
        costs: Objectives beside the score, of which less is better.
        parameters: Of the strategy, as :meth:`Strategy.choose_parameters` set them.
        earlier: Results of other searches, for a strategy that learns from them.
    """

    space: Space
    trials: Mapping[str, Trial]
    completed: list[Trial]
    epochs: int
    max_trials: int | None
    can_draw: bool
    seed: int
    check: CheckFeasibility
    keep_feasible: Callable[[list[Values]], list[Values]]
    costs: tuple[CostKind, ...] = ()
    parameters: Mapping[str, int] = field(default_factory=dict)
    earlier: Earlier = ()


@dataclass(frozen=True)
class Step:
    """What to train next: a fresh candidate, or a finished trial for more epochs.

    Attributes:
        epochs: Epoch to train up to.
        promotes: The trial to continue; None for a fresh candidate.
        initial_epoch: Epochs that the promoted trial has behind it.
        notes: Stored with the trial and handed back in :class:`Trial`.
    """

    epochs: int
    promotes: Trial | None = None
    initial_epoch: int = 0
    notes: Mapping[str, int] = field(default_factory=dict)


class Strategy:
    """Base of the strategies. It holds no state: the trials are the state.

    Budget, duplicates, failures and persistence are handled by ``SearchOracle``; a strategy only
    says in which order candidates are worth trying and, if it is multi-fidelity, for how long.

    Attributes:
        name: As ``--strategy`` takes it.
        summary: One line of help.
        paper: arXiv number, or empty.
        multi_fidelity: Whether it decides itself for how many epochs a trial is trained.
        multi_objective: Whether it weighs costs against the score.
        is_randomized: Whether candidates depend on the seed.
        is_finite: Whether ``suggest`` enumerates all there are, instead of drawing without end.
        needs_end_condition: Whether a search has to be ended by ``--trials`` or ``--max-time``.
        learns: Whether it takes results of earlier searches into account.
        is_guided: Whether scores guide what it proposes, so that known good candidates help it.
        options: Settings that only some strategies take, by their keys.
        earlier_parameters: Those of searches that were begun before parameters were stored.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str] = ""
    multi_fidelity: ClassVar[bool] = False
    multi_objective: ClassVar[bool] = False
    is_randomized: ClassVar[bool] = True
    is_finite: ClassVar[bool] = False
    needs_end_condition: ClassVar[bool] = True
    learns: ClassVar[bool] = False
    is_guided: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ()
    earlier_parameters: ClassVar[Mapping[str, int]] = {}

    def choose_parameters(self, setup: Setup) -> Mapping[str, int]:
        """Returns the parameters of a new search; they are stored and kept when it is resumed."""
        return {}

    def next_step(self, history: History) -> Step | None:
        """Returns what to train next; None if that depends on the running trials, or nothing is."""
        return Step(history.epochs) if history.can_draw else None

    def suggest(self, history: History, rng: Random) -> Iterator[Values]:
        """Yields fresh candidates, most promising first; by default random ones."""
        return map(history.space.sample, repeat(rng))

    def recommend(self, history: History) -> Trial:
        """Returns the completed trial to use; by default that with the highest score."""
        return max(history.completed, key=lambda trial: trial.score or 0.0)
