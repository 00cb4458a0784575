"""When the failures of candidates mean that the search itself is at fault."""

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnsearch.training.messages import Failed

SAME_CRASHES = 3
"""So many identical crashes in a row are no candidate's fault."""
FIRST = 12
"""Most of so many first candidates failing is a fault of the settings."""
MAX_FAILURES = 5
"""Failures of one kind in a row after which a search stops by default."""


class FailureMonitor:
    """Follows the outcomes of one session.

    Args:
        max_failures: in a row, of one kind (nan, out_of_memory, crash, timeout); 0: no limit.
    """

    def __init__(self, max_failures: int = MAX_FAILURES) -> None:
        self._max, self._ended = max_failures, 0
        self._early: list[Failed] = []
        self._row: list[Failed] = []

    def record(self, failed: "Failed | None") -> str:
        """Records how a trial ended; None: completed. Returns why to stop, or an empty text."""
        if failed is not None and not failed.is_suspicious:
            return ""
        self._ended += 1
        if failed is None or (self._row and self._row[-1].kind != failed.kind):
            self._row.clear()
        if failed is None:
            return ""
        self._row.append(failed)
        if self._ended <= FIRST:
            self._early.append(failed)
        return self._find_reason()

    def _find_reason(self) -> str:
        last = self._row[-SAME_CRASHES:]
        if last[-1].kind == "crash" and last.count(last[-1]) == SAME_CRASHES:
            cause = last[-1].reason
            return f"{SAME_CRASHES} candidates in a row died of the same cause: {cause}"
        if not self._max:
            return ""
        if len(self._row) >= self._max:
            return self._describe(f"{len(self._row)} candidates in a row failed", self._row)
        if self._ended <= FIRST and 2 * len(self._early) > FIRST:
            failed = f"{len(self._early)} of the first {self._ended} candidates failed"
            return self._describe(failed, self._early)
        return ""

    def _describe(self, what: str, failures: "list[Failed]") -> str:
        causes = Counter(f"{each.kind}: {each.reason}" for each in failures)
        (cause, _), *_ = causes.most_common(1)
        return f"{what}, the commonest cause is {cause} (--max-failures 0 searches on)"
