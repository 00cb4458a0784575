"""Disk space: keeps a run's checkpoints under a limit, and notices when the disk is full."""

import math
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cnnsearch.runs.directory import RunDirectory
from cnnsearch.training.checkpoint import BEST, STATE, sweep

RESERVE = 4 * 2**20
"""Bytes that must be free for the journal."""
MAX_DISK = 20 * 10**9
"""Default limit on the bytes of a run's checkpoints."""
SHARE = 20
"""Checkpoints are looked through whenever there are a 20th more trials than the last time."""


class DiskQuota:
    """Deletes checkpoints that nothing needs any more, and the least valuable ones over a limit.

    A candidate's state is needed only to resume or promote it, its best weights only to export it.
    Over the limit the states of the lowest-scoring candidates go first, then their weights; those
    of the best candidate and of running ones are never deleted.

    Args:
        run: whose checkpoints.
        limit: on their bytes.
        promotes: whether the strategy resumes finished candidates (Hyperband), so that their states
            are kept while there is room.
    """

    def __init__(
        self, run: RunDirectory, limit: float = math.inf, *, promotes: bool = True
    ) -> None:
        self._run, self._limit, self._promotes = run, limit, promotes
        self._folder = run.path / "trials"
        self._calls, self._next = 0, 1

    def explain_full(self) -> str:
        """Returns a message if the disk has no room for the journal, else an empty text."""
        with suppress(OSError):
            if shutil.disk_usage(self._run.path).free < RESERVE:
                return (
                    f"The disk with {self._run.path} is full: paused, nothing is lost. "
                    "The search continues by itself when there is room."
                )
        return ""

    def tidy(self) -> None:
        """Deletes the states that are not needed, and what is over the limit.

        Called after every trial, it does so after each of the first hundred, then less often: the
        time it takes grows with their number.
        """
        self._calls += 1
        if self._calls < self._next:
            return
        ended = [t for t in self._run.db.get_trials() if t.status in ("completed", "failed")]
        self._next = self._calls + max(1, len(ended) // SHARE)
        for trial in ended:
            sweep(self._folder / trial.id)
        ended.sort(key=lambda trial: (trial.score is not None, trial.score or 0.0))
        states = [self._folder / trial.id / STATE for trial in ended]
        weights = [self._folder / trial.id / BEST for trial in ended[:-1]]
        if not self._promotes:
            _delete(states)
        if math.isinf(self._limit):
            return
        over = sum(map(_measure, self._folder.glob("*/*.npz"))) - self._limit
        for path in (*states, *weights):
            if over <= 0:
                return
            over -= _delete([path])


def _delete(paths: Iterable[Path]) -> int:
    """Deletes files; returns the bytes that this frees."""
    freed = 0
    for path in paths:
        size = _measure(path)
        with suppress(OSError):
            path.unlink()
            freed += size
    return freed


def _measure(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
