"""Asks a strategy which candidates it would propose next, without training any."""

import math
from statistics import linear_regression, mean
from typing import TYPE_CHECKING, Final

from cnnsearch.oracles.protocol import Proposal
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace

if TYPE_CHECKING:
    from cnnsearch.oracles.search_oracle import SearchOracle

PROPOSALS: Final = 10
"""More say little about the mean that trained candidates will not say better by then."""


def rehearse(oracle: "SearchOracle", space: SearchSpace) -> list[Candidate]:
    """Returns the next candidates of a search, ``PROPOSALS`` at most, with scores made up for it.

    Scores decide what a guided strategy proposes, and it soon proposes what no random draw is like.
    A candidate's is what a line through those of the trained ones, over log multiply-accumulates,
    gives for its size; until two are trained, the larger one scores higher.

    Args:
        oracle: a copy of the search's, whose store saves nothing.
        space: of the oracle.

    Returns:
        Fewer where the space or the number of trials ends before.

    Raises:
        BudgetError: no candidate of the space meets the budget.
        SpaceError: no candidate of the space can be wired.
    """
    trained = oracle.make_history().completed
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
