"""The one face that every strategy shows to the search."""

import math

from cnnsearch.oracles.base import OBJECTIVE, DurableOracle
from cnnsearch.oracles.protocol import DONE, WAIT, Draws, Proposal, Signal


class SearchOracle:
    """Proposes candidates and learns from their scores; made by ``create_oracle``.

    Everything that changes is in the store before a call returns, in one transaction a call. One
    thread at a time may use it.
    """

    def __init__(self, oracle: DurableOracle) -> None:
        self._oracle = oracle

    @property
    def strategy(self) -> str:
        """The strategy's name."""
        return self._oracle.strategy

    @property
    def draws(self) -> Draws:
        """How many candidates were drawn and why they were not proposed, since the search began."""
        return self._oracle.draws

    @property
    def reason(self) -> str | None:
        """Why none is drawn any more: 'trials', 'exhausted' or 'schedule'; else None."""
        return self._oracle.reason

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
        trial = self._oracle.create_trial(slot)
        if trial.status == "RUNNING":
            return self._proposal(trial.trial_id)
        return WAIT if trial.status == "IDLE" else DONE

    def _proposal(self, trial_id: str) -> Proposal:
        oracle = self._oracle
        trial = oracle.trials[trial_id]
        values = trial.hyperparameters.values
        return Proposal(
            trial_id=trial_id,
            number=int(trial_id),
            values=oracle.values(trial),
            epochs=values.get("tuner/epochs", oracle.setup.epochs),
            initial_epoch=values.get("tuner/initial_epoch", 0),
            continues=values.get("tuner/trial_id"),
            fingerprint=oracle.fingerprints[trial_id],
            repeated=trial_id in oracle.repeated,
        )

    def complete(self, trial_id: str, score: float) -> None:
        """Records the validation accuracy of a running trial; one that is no number is a failure.

        Raises:
            ValueError: The trial is not running.
        """
        if not math.isfinite(score):
            self.fail(trial_id, f"{OBJECTIVE} is {score}")
            return
        trial = self._oracle.running(trial_id)
        trial.metrics.register(OBJECTIVE, "max")
        trial.metrics.update(OBJECTIVE, float(score))
        trial.status = "COMPLETED"
        self._oracle.end_trial(trial)

    def fail(self, trial_id: str, reason: str) -> None:
        """Records that a running trial ended without a score. It is not tried again.

        Raises:
            ValueError: The trial is not running.
        """
        trial = self._oracle.running(trial_id)
        trial.status, trial.message = "FAILED", reason
        self._oracle.end_trial(trial)
