"""The one Keras Tuner oracle that hosts every strategy: durable, budgeted, without repeats."""

import copy
import json
import math
from dataclasses import replace
from itertools import islice
from typing import Any

from keras_tuner import Objective, Oracle
from keras_tuner.engine.trial import Trial as KerasTunerTrial

from cnnsearch.errors import RunError
from cnnsearch.oracles import convert
from cnnsearch.oracles.points import Values, make_stream
from cnnsearch.oracles.protocol import DONE, WAIT, Draws, Proposal, Setup, Signal
from cnnsearch.oracles.rejection import RejectionSampler
from cnnsearch.oracles.strategy import History, Step, Strategy, Trial

OBJECTIVE = "val_accuracy"
SPARE = 10
"""A search of N candidates replaces those that fail until 2 N, or N + SPARE, have been drawn."""
STATE_VERSION = 2  # 1: fingerprints were of the data, not of the wiring


class SearchOracle(Oracle):
    """Proposes candidates and learns from their scores; made by ``create_oracle``.

    Of ``keras_tuner.Oracle`` it replaces the bookkeeping (JSON files, printed tables, random trial
    states, the end of the search after three failures or 21 collisions, a lock that an exception
    leaves closed) and keeps the trials and the hyperparameters.

    Everything that changes is in the store before a call returns, in one transaction a call. All
    randomness comes from ``make_stream(seed, number of the trial)``, so that the trials are the
    whole state and no generator needs saving. One thread at a time may use it.

    Attributes:
        reason: Why no more are drawn: ``"trials"``, ``"exhausted"``, ``"slow"`` (what is left
            trains for too long), ``"schedule"``; else None.
    """

    def __init__(self, strategy: Strategy, setup: Setup) -> None:
        self._strategy, self._setup = strategy, setup
        self._sampler = RejectionSampler(setup.space, setup.check, setup.first)
        self.reason: str | None = None
        self._fingerprints: dict[str, str] = {}
        self._repeated: set[str] = set()
        self._parameters = dict(strategy.choose_parameters(setup))
        self._unsaved: set[str] = set()
        self._views: dict[str, Trial] = {}
        super().__init__(
            objective=Objective(OBJECTIVE, "max"),
            hyperparameters=convert.to_hyperparameters(setup.space.parameters),
            seed=setup.seed + 1,  # never drawn from; Keras Tuner takes 0 for "no seed"
        )
        self.max_trials = setup.max_trials
        self.verbose = 0
        self.reload()

    @property
    def draws(self) -> Draws:
        """How many candidates were drawn, and why not proposed, since the search began."""
        return replace(self._sampler.draws)

    def propose(self, slot: str) -> Proposal | Signal:
        """Returns the next candidate to train.

        Args:
            slot: Who is going to train it. A slot whose trial is running gets the same proposal
                again.

        Returns:
            A proposal; ``WAIT`` if there may be one when a running trial has ended; ``DONE`` if
            there will be none.

        Raises:
            BudgetError: No candidate of the space meets the budget.
            SpaceError: No candidate of the space can be wired.
        """
        trial = self.create_trial(slot)
        if trial.status == "RUNNING":
            return self._make_proposal(trial.trial_id)
        return WAIT if trial.status == "IDLE" else DONE

    def recommend(self) -> Trial | None:
        """Returns the completed trial that the strategy would use; None: there is none yet."""
        history = self.make_history()
        return self._strategy.recommend(history) if history.completed else None

    def _make_proposal(self, trial_id: str) -> Proposal:
        values = self.trials[trial_id].hyperparameters.values
        return Proposal(
            trial_id=trial_id,
            number=int(trial_id),
            values=convert.active_values(self._setup.space.parameters, values),
            epochs=values.get("tuner/epochs", self._setup.epochs),
            initial_epoch=values.get("tuner/initial_epoch", 0),
            continues=values.get("tuner/trial_id"),
            fingerprint=self._fingerprints[trial_id],
            repeated=trial_id in self._repeated,
        )

    def complete(self, trial_id: str, score: float) -> None:
        """Records the score of a running trial; NaN and infinities count as failures.

        Raises:
            ValueError: The trial is not running.
        """
        if not math.isfinite(score):
            self.fail(trial_id, f"{OBJECTIVE} is {score}")
            return
        trial = self._running_trial(trial_id)
        trial.status, trial.score = "COMPLETED", float(score)
        self.end_trial(trial)

    def fail(self, trial_id: str, reason: str) -> None:
        """Records that a running trial ended without a score. It is not retried.

        Raises:
            ValueError: The trial is not running.
        """
        trial = self._running_trial(trial_id)
        trial.status, trial.message = "FAILED", reason
        self.end_trial(trial)

    def _running_trial(self, trial_id: str) -> KerasTunerTrial:
        trial = self.trials.get(trial_id)
        if trial is None or trial.status != "RUNNING":
            raise ValueError(f"trial {trial_id!r} is not running")
        return trial

    # Keras Tuner's bookkeeping, replaced

    def create_trial(self, tuner_id: str) -> KerasTunerTrial:
        """Returns the trial that runs in this slot, else one to run again, else a new one."""
        if tuner_id in self.ongoing_trials:
            return self.ongoing_trials[tuner_id]
        if self._retry_queue:
            self.ongoing_trials[tuner_id] = self.trials[self._retry_queue.pop(0)]
            return self.ongoing_trials[tuner_id]
        trial_id = f"{len(self.trials) + 1:04d}"
        answer = self.populate_space(trial_id)
        trial = self._build_trial(trial_id, answer["status"], answer.get("values") or {})
        if trial.status == "RUNNING":
            self.trials[trial_id] = self.ongoing_trials[tuner_id] = trial
            self.start_order.append(trial_id)
            self._unsaved.add(trial_id)
            self.save()
        return trial

    def _build_trial(self, trial_id: str, status: str, values: Values) -> KerasTunerTrial:
        hyperparameters = copy.copy(self.hyperparameters)  # shares the space, which never changes
        hyperparameters.values = values
        return KerasTunerTrial(hyperparameters, trial_id, status)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Asks the strategy for the next step, and draws the candidate of a fresh one."""
        while (step := self._strategy.next_step(history := self.make_history())) is not None:
            values = self._values_of(step, trial_id, history)
            if values is not None:
                return {"status": "RUNNING", "values": values}
            # Final; but trials may be left to promote.
            self.reason = "slow" if self._sampler.is_too_slow else "exhausted"
        if self.ongoing_trials:  # any of them may be promoted, or fail and be replaced
            return {"status": "IDLE"}
        self.reason = self.reason or ("trials" if self._has_enough else "schedule")
        return {"status": "STOPPED"}

    def _values_of(self, step: Step, trial_id: str, history: History) -> Values | None:
        """Returns the values of a step, with its schedule; None if the space is exhausted."""
        if step.promotes is not None:
            values, fingerprint = step.promotes.values, self._fingerprints[step.promotes.id]
        else:
            found = self._draw_candidate(history)
            if found is None:
                return None
            values, fingerprint = found
        self._fingerprints[trial_id] = fingerprint
        return {**values, **(convert.to_schedule(step) if self._strategy.multi_fidelity else {})}

    def _draw_candidate(self, history: History) -> tuple[Values, str] | None:
        rng = make_stream(self._setup.seed, len(self.trials) + 1)
        draws = self._strategy.suggest(history, rng)
        if self._strategy.is_finite:
            return self._sampler.search_in_order(draws)
        return self._sampler.search(draws, [t.values for t in history.trials.values()], rng)

    @property
    def _has_enough(self) -> bool:
        """Whether as many candidates as requested have not failed so far.

        A search in which everything fails ends too: see ``SPARE``.
        """
        wanted, drawn = self.max_trials, len(set(self._fingerprints.values()))
        if wanted is None:
            return False
        lost = len({self._fingerprints[i] for i, t in self.trials.items() if t.status == "FAILED"})
        return drawn >= max(2 * wanted, wanted + SPARE) or drawn - lost >= wanted

    def make_history(self) -> History:
        """Returns what the strategy decides on."""
        trials = self._view_trials()
        ended = [trials[trial_id] for trial_id in self.end_order]
        return History(
            space=self._setup.space,
            trials=trials,
            completed=[trial for trial in ended if trial.status == "COMPLETED"],
            epochs=self._setup.epochs,
            max_trials=self.max_trials,
            can_draw=self.reason is None and not self._has_enough,
            seed=self._setup.seed,
            check=self._sampler.check,
            keep_feasible=self._sampler.keep_feasible,
            costs=self._setup.costs,
            parameters=self._parameters,
            earlier=self._setup.earlier,
        )

    def _view_trials(self) -> dict[str, Trial]:
        """Returns what the strategy sees of all trials; of those that ended, made once."""
        views, parameters = self._views, self._setup.space.parameters
        changed = [i for i, seen in views.items() if seen.status != self.trials[i].status]
        for i in (*changed, *islice(self.trials, len(views), None)):
            views[i] = convert.to_trial(self.trials[i], parameters)
        return dict(views)

    def end_trial(self, trial: KerasTunerTrial) -> None:
        """Records the end of a running trial: ``COMPLETED`` with its score, or ``FAILED``."""
        if trial.status == "COMPLETED" and trial.score is None:  # a tuner of Keras Tuner ends it
            self.score_trial(trial)
        if trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)
        running = self.ongoing_trials.items()
        self.ongoing_trials = {slot: t for slot, t in running if t.trial_id != trial.trial_id}
        self.end_order.append(trial.trial_id)
        self._unsaved.add(trial.trial_id)
        self.save()

    def save(self, *_: Any) -> None:
        """Saves the state and the trials that changed, in one transaction."""
        changed = sorted(self._unsaved)
        records = {trial_id: json.dumps(self._make_record(trial_id)) for trial_id in changed}
        order = {trial_id: int(trial_id) for trial_id in changed}
        self._setup.store.save_oracle(json.dumps(self.get_state()), records, order)
        self._unsaved.clear()

    def _make_record(self, trial_id: str) -> dict[str, Any]:
        trial = self.trials[trial_id]
        ended = None if trial.status == "RUNNING" else self.end_order.index(trial_id)
        return convert.to_record(trial, self._fingerprints[trial_id], ended)

    def reload(self, *_: Any) -> None:
        """Restores what the store holds; trials that were running come first, in their order."""
        state, texts = self._setup.store.load_oracle()
        if state is None:
            return
        records = [json.loads(text) for text in texts]
        for record in records:
            self._restore_trial(record)
        ended = [record for record in records if record["ended"] is not None]
        self.end_order = [r["id"] for r in sorted(ended, key=lambda r: int(r["ended"]))]
        self._retry_queue = [record["id"] for record in records if record["ended"] is None]
        self._repeated = set(self._retry_queue)
        self.set_state(json.loads(state))

    def _restore_trial(self, record: dict[str, Any]) -> None:
        trial = self._build_trial(record["id"], record["status"], record["values"])
        trial.score, trial.message = record["score"], record["message"]
        self.trials[trial.trial_id] = trial
        self._fingerprints[trial.trial_id] = record["fingerprint"]
        self.start_order.append(trial.trial_id)

    def get_state(self) -> dict[str, Any]:
        """Returns all that is not in the trials."""
        own = {"parameters": self._parameters, "draws": self._sampler.get_counts()}
        return {"version": STATE_VERSION, **self._identify(), **own}

    def _identify(self) -> dict[str, Any]:
        budget = {"epochs": self._setup.epochs} if self._strategy.multi_fidelity else {}
        identity = {"strategy": self._strategy.name, "seed": self._setup.seed}
        return {**identity, **budget, **self._setup.options}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a state; refuses that of another strategy or seed.

        Raises:
            RunError: The state was written by another search.
        """
        for key, mine in self._identify().items():
            if state.get(key) != mine:
                raise RunError(
                    f"this search was started with {key} {state.get(key)!r}"
                    f" and cannot be resumed with {mine!r}"
                )
        self._parameters = dict(state.get("parameters", self._strategy.earlier_parameters))
        proposed = set(self._fingerprints.values())
        if state["version"] < STATE_VERSION:
            views = self._view_trials()
            proposed |= {self._setup.check(view.values).fingerprint for view in views.values()}
        self._sampler.restore(state["draws"], proposed)
