"""The plain baseline as the first candidate of a search, in front of what the strategy proposes."""

from typing import TYPE_CHECKING

from cnnsearch.engine.settings import Settings
from cnnsearch.oracles.protocol import Draws, Proposal, Signal
from cnnsearch.runs.records import BASELINE, TrialRecord
from cnnsearch.space.baseline import make_baseline
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace

if TYPE_CHECKING:
    from cnnsearch.oracles.search_oracle import SearchOracle

FEWEST = 2
"""Candidates of a search that trains the baseline too."""
TRIAL = "0000"
"""Id of the baseline's trial: strategies number theirs from 1."""


NO_BASELINE = "No plain baseline: even the narrowest is over the budget."


def wants_baseline(settings: Settings) -> bool:
    """Whether a search trains the baseline, if one meets the budget.

    A search of a single candidate does not, nor one from pretrained weights, which would have an
    unfair lead over it.
    """
    search, is_pretrained = settings.search, settings.training.weights is not None
    too_few = search.trials is not None and search.trials < FEWEST
    return search.baseline != "none" and not is_pretrained and not too_few


def find_baseline(settings: Settings, space: SearchSpace) -> Candidate | None:
    """Returns a search's baseline; None: it has none, or no plain network meets the budget."""
    return make_baseline(space, settings.search.budget) if wants_baseline(settings) else None


class BaselineFirst:
    """Proposes the baseline, then what a strategy's oracle proposes.

    The baseline is no point of the space, so that the oracle never learns of it; what became of it
    is in the run's journal. It counts as one of the candidates requested, unless it fails.

    Args:
        oracle: of the strategy; its number of candidates is reduced by one.
        baseline: the candidate.
        epochs: that it trains for.
        trials: of the run so far.
    """

    def __init__(
        self, oracle: "SearchOracle", baseline: Candidate, epochs: int, trials: list[TrialRecord]
    ) -> None:
        self._oracle = oracle
        status = next((trial.status for trial in trials if trial.role == BASELINE), "")
        if status != "failed" and oracle.max_trials is not None:
            oracle.max_trials -= 1
        self._waiting: Proposal | None = None
        if status not in ("completed", "failed"):
            fingerprint = baseline.fingerprint
            self._waiting = Proposal(TRIAL, 0, {}, epochs, fingerprint=fingerprint, role=BASELINE)

    @property
    def draws(self) -> Draws:
        """Those of the strategy."""
        return self._oracle.draws

    @property
    def reason(self) -> str | None:
        """The strategy's."""
        return self._oracle.reason

    def propose(self, slot: str) -> Proposal | Signal:
        """Returns the baseline, once; then the strategy's next candidate, WAIT or DONE."""
        if self._waiting is None:
            return self._oracle.propose(slot)
        proposal, self._waiting = self._waiting, None
        return proposal

    def complete(self, trial_id: str, score: float) -> None:
        """Records the score of a running trial of the strategy."""
        if trial_id != TRIAL:
            self._oracle.complete(trial_id, score)

    def fail(self, trial_id: str, reason: str) -> None:
        """Records a failure; the baseline's gives the strategy one candidate more."""
        if trial_id != TRIAL:
            self._oracle.fail(trial_id, reason)
        elif self._oracle.max_trials is not None:
            self._oracle.max_trials += 1
