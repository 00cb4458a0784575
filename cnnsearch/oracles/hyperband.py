"""Hyperband (Li et al., 2018, arXiv:1603.06560), proof against failures."""

import math
from functools import cached_property

from cnnsearch.oracles.strategy import History, Step, Strategy, Trial

FACTOR = 3  # eta in the paper
MOST_DRAWN = 4  # times the first rung's size: when nearly all fail, a bracket ends short


class Hyperband(Strategy):
    """Brackets of successive halving by a factor of three, up to ``epochs`` epochs.

    Sizes and epochs of the rungs are Keras Tuner's. A failed trial is replaced, in the first rung
    by a fresh candidate and later by the next best, so that as many candidates reach the full
    budget as without failures. With ``max_trials`` brackets follow each other until so many
    candidates were drawn that have not failed; without, each is run once.
    """

    name = "hyperband"
    summary = "many short trainings, of which the best are continued"
    paper = "1603.06560"
    multi_fidelity = True
    needs_end_condition = False

    def next_step(self, history: History) -> Step | None:
        """Fills the first bracket that has a place, beginning another when none has."""
        brackets = restore_brackets(history)
        for bracket in brackets:
            step = bracket.next_step()
            if step is not None:
                return step
        if not history.can_draw:
            return None
        if history.max_trials is None and len(brackets) == count_brackets(history.epochs):
            return None
        return Bracket(len(brackets), history).draw()


def count_brackets(epochs: int) -> int:
    """Returns the number of different brackets: those whose first rung has at least an epoch."""
    brackets, shortest = 0, float(epochs)
    while shortest >= 1:
        brackets, shortest = brackets + 1, shortest / FACTOR
    return brackets


def restore_brackets(history: History) -> list["Bracket"]:
    """Returns all brackets begun so far, with their trials."""
    brackets: list[Bracket] = []
    home: dict[str, Bracket] = {}
    for trial in history.trials.values():
        if trial.promotes is None:
            index = _bracket_index(trial, brackets, history)
            if index == len(brackets):
                brackets.append(Bracket(index, history))
            bracket = brackets[index]
        else:
            bracket = home[trial.promotes]
        bracket.rungs[trial.notes["round"]].append(trial)
        home[trial.id] = bracket
    return brackets


def _bracket_index(trial: Trial, brackets: list["Bracket"], history: History) -> int:
    """Returns a trial's bracket; version 0.1 stored only which of the different ones it was."""
    if "bracket_index" in trial.notes:
        return trial.notes["bracket_index"]
    following = Bracket(len(brackets), history)
    alike = (b for b in (following, *reversed(brackets)) if b.number == trial.notes["bracket"])
    return next(alike, following).index


class Bracket:
    """One run of successive halving.

    Args:
        index: Its place among all brackets of the search, from 0.
        history: Of the search.

    Attributes:
        number: Rungs above the first (s in the paper); 0 is random search on the full budget.
        rungs: The trials of each rung.
    """

    def __init__(self, index: int, history: History) -> None:
        different = count_brackets(history.epochs)
        self.index = index
        self.number = different - 1 - index % different
        self.rungs: list[list[Trial]] = [[] for _ in range(self.number + 1)]
        self._epochs, self._can_draw = history.epochs, history.can_draw

    def next_step(self) -> Step | None:
        """Returns a fresh candidate if the first rung has a place, else the first promotion."""
        if self._can_draw and self._count_live(0) < self._find_target(0):
            return self.draw()
        for rung in range(1, len(self.rungs)):
            trial = self._find_promotable(rung)
            if trial is not None:
                return self._promote(trial, rung)
        return None

    def draw(self) -> Step:
        """Returns the step that adds a fresh candidate to the first rung."""
        return Step(self.epochs_of(0), notes=self._make_notes(0))

    def _promote(self, trial: Trial, rung: int) -> Step:
        return Step(self.epochs_of(rung), trial, self.epochs_of(rung - 1), self._make_notes(rung))

    def _make_notes(self, rung: int) -> dict[str, int]:
        return {"bracket": self.number, "round": rung, "bracket_index": self.index}

    def size_of(self, rung: int) -> int:
        """Returns how many trials a rung has without failures."""
        last = math.ceil(1 + math.log(self._epochs, FACTOR)) / (self.number + 1)
        return math.ceil(last * int(FACTOR ** (self.number - rung)))

    def epochs_of(self, rung: int) -> int:
        """Returns the epoch up to which a rung trains."""
        return math.ceil(self._epochs / int(FACTOR ** (self.number - rung)))

    def _find_promotable(self, rung: int) -> Trial | None:
        """Returns the best trial of the rung below, once more completed than will be dropped."""
        target, live = self._find_target(rung), self._count_live(rung)
        if live >= target:
            return None
        waiting = self._waiting_for(rung)
        completed = [trial for trial in waiting if trial.status == "COMPLETED"]
        failed = len(self.rungs[rung]) - live
        dropped = self._find_target(rung - 1) - failed - target
        if len(completed) <= dropped:
            return None
        return max(completed, key=lambda trial: trial.score or 0.0, default=None)

    def _find_target(self, rung: int) -> int:
        """Returns how many trials of a rung will not have failed, as far as can be foreseen.

        This is the number needed, less where no fresh candidates can be drawn.
        """
        live, needed = self._count_live(rung), self._needed[rung]
        if rung == 0:
            is_open = self._can_draw and len(self.rungs[0]) < MOST_DRAWN * self.size_of(0)
            return needed if is_open else live
        below = self._find_target(rung - 1)
        if below < self.size_of(rung - 1):
            needed = min(needed, math.ceil(below / FACTOR))
        to_come = below - self._count_live(rung - 1)
        return max(live, min(needed, live + len(self._waiting_for(rung)) + to_come))

    @cached_property
    def _needed(self) -> list[int]:
        """Sizes of the rungs, larger where the next rung lost too many of its trials."""
        needed = [self.size_of(rung) for rung in range(len(self.rungs))]
        for rung in reversed(range(self.number)):
            lost = len(self.rungs[rung + 1]) - self._count_live(rung + 1)
            needed[rung] = max(needed[rung], needed[rung + 1] + lost)
        return needed

    def _count_live(self, rung: int) -> int:
        return sum(trial.status != "FAILED" for trial in self.rungs[rung])

    def _waiting_for(self, rung: int) -> list[Trial]:
        """Returns the trials of the rung below that may still be promoted to this one."""
        promoted = {trial.promotes for trial in self.rungs[rung]}
        below = self.rungs[rung - 1]
        return [t for t in below if t.status != "FAILED" and t.id not in promoted]
