"""Simulates the next proposals of a strategy, without training any."""

import math
from statistics import linear_regression, mean
from typing import TYPE_CHECKING, Final

from cnnsearch.oracles.protocol import Proposal
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace

if TYPE_CHECKING:
    from cnnsearch.oracles.search_oracle import SearchOracle

LATEST: Final = 300
"""Trained candidates whose scores and sizes are compared: they are counted anew each time."""
PROPOSALS: Final = 10
"""Simulated at most: by the time that more are trained, their measured times say more."""


def rehearse(oracle: "SearchOracle", space: SearchSpace) -> list[Candidate]:
    """Returns the next candidates of a search, ``PROPOSALS`` at most, given simulated scores.

    A guided strategy's proposals depend on scores, and are not like random draws. The simulated
    score is a linear regression of the trained candidates' scores on log MACs; until
    two are trained, larger networks score higher.

    Args:
        oracle: a copy of the search's, whose store saves nothing.
        space: of the oracle.

    Returns:
        Fewer where the space or the number of trials ends before.

    Raises:
        BudgetError: no candidate of the space meets the budget.
        SpaceError: no candidate of the space can be wired.
    """
    trained = oracle.make_history().completed[-LATEST:]
    sizes = [_measure_size(space.decode(trial.values)) for trial in trained]
    scores = [trial.score or 0.0 for trial in trained]
    slope, intercept = 1.0, (mean(scores) - mean(sizes) if trained else 0.0)
    if len(set(sizes)) > 1:
        slope, intercept = linear_regression(sizes, scores)
    proposed = list[Candidate]()
    while len(proposed) < PROPOSALS:
        proposal = oracle.propose("rehearsal")
        if not isinstance(proposal, Proposal):
            break
        candidate = space.decode(proposal.values)
        proposed.append(candidate)
        score = intercept + slope * _measure_size(candidate)
        oracle.complete(proposal.trial_id, score)
    return proposed


def _measure_size(candidate: Candidate) -> float:
    """Returns log multiply-accumulates."""
    return math.log1p(sum(candidate.work[:3]))
