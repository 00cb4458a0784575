"""Asynchronous successive halving (Li et al., 2018, arXiv:1810.05934)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

from cnnsearch.errors import CnnsearchError
from cnnsearch.oracles.protocol import Setup
from cnnsearch.oracles.strategy import History, Step, Strategy, Trial

FACTOR = 3  # eta in the paper, unless --reduction-factor says otherwise
SHORTEST = 1  # epochs of the first rung at least (r in the paper), unless --min-epochs does


@dataclass(frozen=True)
class Rung:
    """The trials that are trained up to the same epoch.

    Attributes:
        epochs: that epoch.
        trials: of the rung, in order of proposal.
        promotions: to the next rung, of those trials.
    """

    epochs: int
    trials: list[Trial] = field(default_factory=list)
    promotions: list[Trial] = field(default_factory=list)

    def find_promotable(self, factor: int, *, is_complete: bool) -> Trial | None:
        """Returns the best trial that is among its rung's best and was not promoted, if any.

        Args:
            factor: one of so many is promoted. A promotion that failed is replaced.
            is_complete: whether no more candidates enter the first rung: the number is rounded up,
                so that even a short search reaches the last rung.
        """
        completed = [trial for trial in self.trials if trial.status == "COMPLETED"]
        share = len(completed) / factor
        places = math.ceil(share) if is_complete else math.floor(share)
        alive = sum(trial.status != "FAILED" for trial in self.promotions)
        promoted = {trial.promotes for trial in self.promotions}
        waiting = (trial for trial in completed if trial.id not in promoted)
        if alive >= places:
            return None
        return max(waiting, key=lambda trial: trial.score or 0.0, default=None)


class Asha(Strategy):
    """Promotes a candidate as soon as it is among the best of its rung; no rung has to be full.

    Whenever a worker is free, the highest rung that has one promotes its best candidate, which
    resumes its training; if none has, a fresh candidate enters the first rung.
    """

    name = "asha"
    summary = "short trainings, of which the best so far are continued at once"
    paper = "1810.05934"
    multi_fidelity = True
    options: ClassVar[tuple[str, ...]] = ("reduction_factor", "min_epochs")

    def choose_parameters(self, setup: Setup) -> Mapping[str, int]:
        """Returns the reduction factor and the least number of epochs in the first rung.

        Raises:
            CnnsearchError: The first rung would be longer than the last.
        """
        shortest = setup.options.get("min_epochs", SHORTEST)
        if shortest > setup.epochs:
            raise CnnsearchError(
                f"--min-epochs: expected at most the candidates' {setup.epochs} epochs,"
                f" got {shortest}"
            )
        return {
            "reduction_factor": setup.options.get("reduction_factor", FACTOR),
            "min_epochs": shortest,
        }

    def next_step(self, history: History) -> Step | None:
        """Returns a promotion, from the highest rung that has one; else a fresh candidate."""
        rungs, factor = restore_rungs(history), history.parameters["reduction_factor"]
        for number in reversed(range(self.find_top(rungs, history))):
            rung = rungs[number]
            trial = rung.find_promotable(factor, is_complete=not history.can_draw)
            if trial is not None:
                higher = rungs[number + 1].epochs
                return Step(higher, trial, rung.epochs, {"round": number + 1})
        return Step(rungs[0].epochs, notes={"round": 0}) if history.can_draw else None

    def find_top(self, rungs: list[Rung], history: History) -> int:
        """Returns the place of the highest rung to which candidates are promoted."""
        return len(rungs) - 1


def restore_rungs(history: History) -> list[Rung]:
    """Returns all rungs, the shortest first, with their trials."""
    factor, shortest = history.parameters["reduction_factor"], history.parameters["min_epochs"]
    epochs, length = [], float(history.epochs)
    while length >= shortest:
        epochs.append(math.ceil(length))
        length /= factor
    rungs = [Rung(each) for each in reversed(epochs)]
    for trial in history.trials.values():
        rungs[trial.notes["round"]].trials.append(trial)
    for lower, higher in pairwise(rungs):
        lower.promotions.extend(higher.trials)
    return rungs
