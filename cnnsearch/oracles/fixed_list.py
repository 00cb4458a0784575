"""A list that was decided beforehand, in place of a strategy: final trainings, fidelity studies."""

from collections import deque
from collections.abc import Iterable

from cnnsearch.oracles.protocol import DONE, Draws, Proposal, Signal


class FixedList:
    """Proposes what it is given, in that order, and learns nothing.

    It keeps no state: which of the trainings are done, the run's journal knows.

    Args:
        proposals: what is still to be trained.
    """

    strategy = "fixed"

    def __init__(self, proposals: Iterable[Proposal]) -> None:
        self._left = deque(proposals)
        self._draws = Draws(drawn=len(self._left))

    @property
    def draws(self) -> Draws:
        """The length of the list, and nothing refused."""
        return self._draws

    @property
    def reason(self) -> str | None:
        """``trials`` at the end of the list."""
        return None if self._left else "trials"

    def propose(self, slot: str) -> Proposal | Signal:
        """Returns the next on the list; DONE at its end."""
        return self._left.popleft() if self._left else DONE

    def complete(self, trial_id: str, score: float) -> None:
        """Changes nothing."""

    def fail(self, trial_id: str, reason: str) -> None:
        """Changes nothing."""
