"""Room on the disk: keeps a run's checkpoints under a limit, and sees when none is left."""

import math
import shutil
from contextlib import suppress
from pathlib import Path

from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.checkpoint import BEST, STATE, sweep

RESERVE = 4 * 2**20
"""Bytes that have to be free for the journal."""
MAX_DISK = 20 * 10**9
"""Bytes that a run's checkpoints may take where nothing else is said."""


class DiskQuota:
    """Looks after the room that one run takes.

    A candidate's state is worth keeping only while it may be gone on with, its best weights only
    while it may be exported. Past the limit the states of the candidates with the lowest scores go
    first, then their weights; those of the best one and of all that run are never touched.

    Args:
        run: whose checkpoints.
        limit: bytes that they may take.
        promotes: whether the strategy goes on with finished candidates (Hyperband), so that
            their states are kept while there is room.
    """

    def __init__(
        self, run: RunDirectory, limit: float = math.inf, *, promotes: bool = True
    ) -> None:
        self._run, self._limit, self._promotes = run, limit, promotes

    def full(self) -> str:
        """Returns what to tell people when there is no room for the journal, else nothing."""
        try:
            free = shutil.disk_usage(self._run.path).free
        except OSError:
            return ""
        if free >= RESERVE:
            return ""
        return (
            f"The disk with {self._run.path} is full: paused, nothing is lost. "
            "The search goes on by itself when there is room."
        )

    def tidy(self) -> None:
        """Removes what is not needed any more, and what is over the limit."""
        ended = [t for t in self._run.db.get_trials() if t.status in ("completed", "failed")]
        for trial in ended:
            sweep(self._run.path / "trials" / trial.id)
        ended.sort(key=lambda trial: (trial.score is not None, trial.score or 0.0))
        if not self._promotes:
            self._remove([self._file(trial, STATE) for trial in ended])
        if math.isinf(self._limit):
            return
        over = self._size() - self._limit
        for path in self._dispensable(ended):
            if over <= 0:
                return
            over -= self._remove([path])

    def _dispensable(self, ended: list[TrialRecord]) -> list[Path]:
        """Files of ended trials, the least worth keeping first."""
        states = [self._file(trial, STATE) for trial in ended]
        weights = [self._file(trial, BEST) for trial in ended[:-1]]
        return [*states, *weights]

    def _file(self, trial: TrialRecord, name: str) -> Path:
        return self._run.path / "trials" / trial.id / name

    def _size(self) -> int:
        files = (self._run.path / "trials").glob("*/*.npz")
        return sum(_bytes(path) for path in files)

    def _remove(self, paths: list[Path]) -> int:
        """Removes files; returns the bytes that this frees."""
        freed = 0
        for path in paths:
            size = _bytes(path)
            with suppress(OSError):
                path.unlink()
                freed += size
        return freed


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
