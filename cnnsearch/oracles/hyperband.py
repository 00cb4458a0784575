"""Hyperband (Li et al., 2018, arXiv:1603.06560): Keras Tuner's, proof against failures."""

import math
from typing import Any

from cnnsearch.oracles._keras_tuner import HyperbandOracle as KerasTunerHyperband
from cnnsearch.oracles._keras_tuner import Trial
from cnnsearch.oracles.base import DurableOracle
from cnnsearch.oracles.protocol import Setup

FACTOR = 3
MOST_DRAWN = 4  # times the first round's size: when nearly all fail, a bracket ends short
Bracket = dict[str, Any]


class HyperbandOracle(DurableOracle, KerasTunerHyperband):
    """Brackets of successive halving by a factor of three, up to ``epochs`` epochs.

    Sizes and epochs of the rounds are Keras Tuner's. A failed trial is replaced, in the first
    round by a fresh candidate and later by the next best, so that as many candidates reach the
    full number of epochs as without failures. With ``max_trials`` brackets follow each other until
    so many candidates were drawn that have not failed; without, they are gone through once.
    """

    strategy = "hyperband"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup, max_epochs=setup.epochs, factor=FACTOR)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Fills the first bracket that has a place, beginning another when none has."""
        while True:
            for bracket in self._brackets:
                values = self._fresh(bracket, trial_id) or self._promoted(bracket, trial_id)
                if values is not None:
                    return {"status": "RUNNING", "values": values}
            if self._is_last():
                return self._pause()
            self._brackets = [b for b in self._brackets if not self._is_finished(b)]
            self._increment_bracket_num()
            self._start_new_bracket()

    def _is_last(self) -> bool:
        """Whether no further bracket begins."""
        is_whole = self.max_trials is None and self._current_bracket == 0
        return is_whole or self._closed

    @property
    def _closed(self) -> bool:
        """Whether no fresh candidate is drawn, unless one that is running fails."""
        return self.reason is not None or self.enough

    def _pause(self) -> dict[str, Any]:
        """Waits for the running trials: any of them may be promoted, or fail and be replaced."""
        if self.ongoing_trials:
            return {"status": "IDLE"}
        self.reason = self.reason or ("trials" if self.enough else "schedule")
        return {"status": "STOPPED"}

    def _fresh(self, bracket: Bracket, trial_id: str) -> dict[str, Any] | None:
        """Draws a new candidate for the first round, if that has a place."""
        if self._closed or self._live(bracket, 0) >= self._target(bracket, 0):
            return None
        values = self._random_values()
        if values is None:
            return None
        return self._enter(bracket, 0, trial_id, values, None)

    def _promoted(self, bracket: Bracket, trial_id: str) -> dict[str, Any] | None:
        """Promotes the best of the earliest round of which enough have completed."""
        for round_num in range(1, len(bracket["rounds"])):
            best = self._promotable(bracket, round_num)
            if best is not None:
                self._fingerprint = self.fingerprints[best.trial_id]
                return self._enter(bracket, round_num, trial_id, self.values(best), best.trial_id)
        return None

    def _promotable(self, bracket: Bracket, round_num: int) -> Trial | None:
        """Returns the best of the round before, once more completed than will be dropped."""
        target = self._target(bracket, round_num)
        live = self._live(bracket, round_num)
        if live >= target:
            return None
        past = self._unpromoted(bracket, round_num)
        completed = [trial for trial in past if trial.status == "COMPLETED"]
        failed = len(bracket["rounds"][round_num]) - live
        dropped = self._target(bracket, round_num - 1) - failed - target
        if len(completed) <= dropped:
            return None
        return max(completed, key=lambda trial: trial.score or 0.0, default=None)

    def _enter(
        self,
        bracket: Bracket,
        round_num: int,
        trial_id: str,
        values: dict[str, Any],
        past: str | None,
    ) -> dict[str, Any]:
        """Notes the trial in its round and adds the schedule, in Keras Tuner's words."""
        number = bracket["bracket_num"]
        bracket["rounds"][round_num].append({"past_id": past, "id": trial_id})
        schedule = {
            "tuner/epochs": self._get_epochs(number, round_num),
            "tuner/initial_epoch": 0 if past is None else self._get_epochs(number, round_num - 1),
            "tuner/bracket": number,
            "tuner/round": round_num,
        }
        return {**values, **schedule, **({} if past is None else {"tuner/trial_id": past})}

    def _wanted(self, bracket: Bracket, round_num: int) -> int:
        """Returns Keras Tuner's size of a round, or more where the next one lost too many of it."""
        size = self._get_size(bracket["bracket_num"], round_num)
        if round_num == bracket["bracket_num"]:
            return size
        lost = len(bracket["rounds"][round_num + 1]) - self._live(bracket, round_num + 1)
        return max(size, self._wanted(bracket, round_num + 1) + lost)

    def _target(self, bracket: Bracket, round_num: int) -> int:
        """Returns how many trials of a round will not have failed, as far as one can tell now.

        This is the number wanted, less where no new candidates are to be had.
        """
        live = self._live(bracket, round_num)
        size = self._wanted(bracket, round_num)
        if round_num == 0:
            most = MOST_DRAWN * self._get_size(bracket["bracket_num"], 0)
            is_open = not self._closed and len(bracket["rounds"][0]) < most
            return size if is_open else live
        past = self._target(bracket, round_num - 1)
        if past < self._get_size(bracket["bracket_num"], round_num - 1):
            size = min(size, math.ceil(past / FACTOR))
        to_come = past - self._live(bracket, round_num - 1)
        return max(live, min(size, live + len(self._unpromoted(bracket, round_num)) + to_come))

    def _live(self, bracket: Bracket, round_num: int) -> int:
        return sum(trial.status != "FAILED" for trial in self._members(bracket, round_num))

    def _members(self, bracket: Bracket, round_num: int) -> list[Trial]:
        return [self.trials[entry["id"]] for entry in bracket["rounds"][round_num]]

    def _unpromoted(self, bracket: Bracket, round_num: int) -> list[Trial]:
        """Returns the trials of the round before that may still enter this one."""
        promoted = {entry["past_id"] for entry in bracket["rounds"][round_num]}
        past = self._members(bracket, round_num - 1)
        return [t for t in past if t.status != "FAILED" and t.trial_id not in promoted]

    def _is_finished(self, bracket: Bracket) -> bool:
        last = len(bracket["rounds"]) - 1
        done = [t for t in self._members(bracket, last) if t.status == "COMPLETED"]
        return len(done) >= self._get_size(bracket["bracket_num"], last)

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "epochs": self.setup.epochs}

    def strategy_state(self) -> dict[str, Any]:
        """Returns the brackets that are not finished."""
        return {
            "brackets": self._brackets,
            "current_bracket": self._current_bracket,
            "current_iteration": self._current_iteration,
        }

    def restore_strategy(self, state: dict[str, Any]) -> None:
        """Takes up the brackets."""
        self._brackets = state["brackets"]
        self._current_bracket = state["current_bracket"]
        self._current_iteration = state["current_iteration"]
