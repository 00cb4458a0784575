"""What every strategy shares: any Keras Tuner oracle made durable, budgeted and free of repeats.

Of ``keras_tuner.Oracle`` it replaces the bookkeeping (JSON files, printed tables, random trial
states, the end of the search after three failures or 21 collisions, a lock that an exception
leaves closed) and keeps the trials, the hyperparameters and the strategy in ``populate_space``.
"""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from cnnsearch.errors import RunError
from cnnsearch.oracles._keras_tuner import MetricsTracker, Objective, Oracle, Trial
from cnnsearch.oracles.convert import active_values, to_hyperparameters
from cnnsearch.oracles.points import Values, stream
from cnnsearch.oracles.protocol import Draws, Setup
from cnnsearch.oracles.rejection import Screen

if TYPE_CHECKING:
    _Oracle = Oracle
else:
    _Oracle = object

OBJECTIVE = "val_accuracy"
SPARE = 10
"""A search of N candidates replaces those that fail until 2 N, or N + SPARE, have been drawn."""
STATE_VERSION = 1


class DurableOracle(_Oracle):
    """Mixin before a Keras Tuner oracle.

    A subclass says what to draw in ``candidates``; draws that are over the budget, invalid or
    already proposed are skipped here. All randomness comes from ``stream(seed, number)``, so
    nothing of a random generator needs saving.
    """

    strategy: ClassVar[str]

    def __init__(self, setup: Setup, **options: Any) -> None:
        self.setup = setup
        self.screen = Screen(setup.space, setup.judge)
        self.reason: str | None = None
        self.fingerprints: dict[str, str] = {}
        self.repeated: set[str] = set()
        self._fingerprint = ""
        self._unsaved: set[str] = set()
        super().__init__(
            objective=Objective(OBJECTIVE, "max"),
            hyperparameters=to_hyperparameters(setup.space.parameters),
            seed=stream(setup.seed, 0).randrange(1, 2**31),  # Keras Tuner takes 0 for "no seed"
            **options,
        )
        self.max_trials = setup.max_trials
        self.verbose = 0
        self.reload()

    # What a strategy says

    def candidates(self, rng: Random) -> Iterator[Values]:
        """Yields candidates in the order of their promise, without end."""
        return map(self.setup.space.sample, repeat(rng))

    def strategy_state(self) -> dict[str, Any]:
        """Returns what the strategy must remember beside the trials."""
        return {}

    def restore_strategy(self, state: dict[str, Any]) -> None:
        """Takes up what ``strategy_state`` returned."""

    # What a strategy asks

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Proposes the first candidate that is new and meets the budget (Keras Tuner's hook)."""
        values = self._random_values()
        if values is not None:
            return {"status": "RUNNING", "values": values}
        return {"status": "IDLE" if self.reason is None else "STOPPED"}

    def _random_values(self) -> Values | None:
        """Keras Tuner's name for a fresh candidate; None when there is none, or none for now."""
        if self.reason is not None:  # final: a driver that asks again and again pays nothing
            return None
        if self.enough:
            self.reason = None if self.ongoing_trials else "trials"
            return None
        found = self.find(stream(self.setup.seed, len(self.trials) + 1))
        if found is None:
            self.reason = "exhausted"
            return None
        values, self._fingerprint = found
        return dict(values)

    @property
    def enough(self) -> bool:
        """Whether as many candidates as are wanted have not failed, so far; a few may be replaced.

        A search in which everything fails ends too: see ``SPARE``.
        """
        wanted, drawn = self.max_trials, len(self.screen.proposed)
        if wanted is None:
            return False
        failed = {i for i, trial in self.trials.items() if trial.status == "FAILED"}
        lost = len({self.fingerprints[trial_id] for trial_id in failed})
        return drawn >= max(2 * wanted, wanted + SPARE) or drawn - lost >= wanted

    def find(self, rng: Random) -> tuple[Values, str] | None:
        """Returns a new candidate and its fingerprint, or None when there is none left."""
        return self.screen.search(self.candidates(rng), self._known, rng)

    def _known(self) -> list[Values]:
        return [self.values(trial) for trial in self.trials.values()]

    def completed(self) -> list[Trial]:
        """Returns the trials that ended with a score, in the order of their ends."""
        ended = (self.trials[trial_id] for trial_id in self.end_order)
        return [trial for trial in ended if trial.status == "COMPLETED"]

    def values(self, trial: Trial) -> Values:
        """Returns the values of a trial's candidate, in the order of the space's parameters."""
        return active_values(self.setup.space.parameters, trial.hyperparameters.values)

    @property
    def draws(self) -> Draws:
        """How many candidates were drawn and why they were not proposed."""
        return replace(self.screen.draws)

    # The bookkeeping, in place of Keras Tuner's

    def create_trial(self, tuner_id: str) -> Trial:
        """Returns the trial that runs in this slot, else one to run again, else a new one."""
        if tuner_id in self.ongoing_trials:
            return self.ongoing_trials[tuner_id]
        if self._retry_queue:
            trial = self.trials[self._retry_queue.pop(0)]
            self.ongoing_trials[tuner_id] = trial
            return trial
        return self._new_trial(tuner_id)

    def _new_trial(self, tuner_id: str) -> Trial:
        trial_id = f"{len(self.trials) + 1:04d}"
        answer = self.populate_space(trial_id)
        trial = self._trial(trial_id, answer["status"], answer.get("values") or {})
        if trial.status == "RUNNING":
            self.trials[trial_id] = self.ongoing_trials[tuner_id] = trial
            self.start_order.append(trial_id)
            self.fingerprints[trial_id] = self._fingerprint
            self._save_trial(trial)
            self.save()
        return trial

    def _trial(self, trial_id: str, status: str, values: Values) -> Trial:
        hyperparameters = copy.copy(self.hyperparameters)  # shares the space, which never changes
        hyperparameters.values = values
        return Trial(hyperparameters, trial_id, status)

    def running(self, trial_id: str) -> Trial:
        """Returns a trial that has been proposed and has not ended.

        Raises:
            ValueError: There is none of this name.
        """
        trial = self.trials.get(trial_id)
        if trial is None or trial.status != "RUNNING":
            raise ValueError(f"trial {trial_id!r} is not running")
        return trial

    def end_trial(self, trial: Trial) -> None:
        """Records the end of a running trial: ``COMPLETED`` with its metric, or ``FAILED``."""
        if trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)
        running = self.ongoing_trials.items()
        self.ongoing_trials = {slot: t for slot, t in running if t.trial_id != trial.trial_id}
        if trial.status == "COMPLETED":
            self.score_trial(trial)
        self.end_order.append(trial.trial_id)
        self._save_trial(trial)
        self.save()

    def _save_trial(self, trial: Trial) -> None:
        self._unsaved.add(trial.trial_id)

    def save(self, *_: Any) -> None:
        """Saves the state and the trials that changed, in one transaction."""
        changed = sorted(self._unsaved)
        records = {trial_id: json.dumps(self._record(trial_id)) for trial_id in changed}
        order = {trial_id: int(trial_id) for trial_id in changed}
        self.setup.store.save_oracle(json.dumps(self.get_state()), records, order)
        self._unsaved.clear()

    def _record(self, trial_id: str) -> dict[str, Any]:
        trial = self.trials[trial_id]
        ended = trial.status != "RUNNING"
        return {
            "id": trial_id,
            "values": trial.hyperparameters.values,
            "fingerprint": self.fingerprints[trial_id],
            "status": trial.status,
            "score": None if trial.score is None else float(trial.score),
            "message": trial.message,
            "ended": self.end_order.index(trial_id) if ended else None,
        }

    def reload(self, *_: Any) -> None:
        """Takes up what the store holds; trials that were running come first, in their order."""
        state, records = self.setup.store.load_oracle()
        if state is None:
            return
        ended: dict[int, str] = {}
        for record in map(json.loads, records):
            self._restore_trial(record, ended)
        self.end_order = [ended[place] for place in sorted(ended)]
        self.set_state(json.loads(state))

    def _restore_trial(self, record: dict[str, Any], ended: dict[int, str]) -> None:
        trial_id = record["id"]
        trial = self._trial(trial_id, record["status"], record["values"])
        trial.metrics, trial.score, trial.message = (
            MetricsTracker(),
            record["score"],
            record["message"],
        )
        self.trials[trial_id] = trial
        self.fingerprints[trial_id] = record["fingerprint"]
        self.start_order.append(trial_id)
        if record["ended"] is None:
            self._retry_queue.append(trial_id)
            self.repeated.add(trial_id)
        else:
            ended[record["ended"]] = trial_id

    def get_state(self) -> dict[str, Any]:
        """Returns all that is not in the trials."""
        return {
            "version": STATE_VERSION,
            **self._identity(),
            "draws": self.screen.state(),
            **self.strategy_state(),
        }

    def _identity(self) -> dict[str, Any]:
        return {"strategy": self.strategy, "seed": self.setup.seed}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes up a state; refuses that of another strategy or seed.

        Raises:
            RunError: The state was written by another search.
        """
        for key, mine in self._identity().items():
            if state.get(key) != mine:
                raise RunError(
                    f"this search was begun with {key} {state.get(key)!r}"
                    f" and cannot go on with {mine!r}"
                )
        self.screen.restore(state["draws"], self.fingerprints.values())
        self.restore_strategy(state)
