"""Writes checkpoints while training goes on."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from cnnsearch.errors import DiskFullError
from cnnsearch.training import checkpoint
from cnnsearch.training.checkpoint import Checkpoint

DISK_RETRY = 1.0
"""Seconds between two attempts to write to a full disk."""
MOST_COPIED = 256 * 2**20
"""Bytes of arrays that are copied, to be written while training changes the originals."""

Files = Mapping[Path, Checkpoint]


class CheckpointWriter:
    """Writes the files of one epoch while the next one is trained: fsync alone takes milliseconds.

    A kill while they are written loses the epoch that they are of, and what was trained since: they
    are complete before the next ones are begun.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def write(self, files: Files, *, wait: bool) -> Iterator[str]:
        """Starts writing files, in this order, when those of the call before are complete.

        While the disk is full it yields the reason, and retries.

        Args:
            files: by path. What is too large to copy is written at once.
            wait: whether to return only when they are complete.

        Raises:
            RunError: a file of this call, or the one before, cannot be written.
        """
        while True:
            try:
                self._finish()
                self._start(files)
                if wait:
                    self._finish()
                return
            except DiskFullError as full:
                wait = True
                yield f"{full}: paused until there is room, nothing is lost."
                time.sleep(DISK_RETRY)

    def close(self) -> None:
        """Waits for what is being written; whether it succeeds is not told."""
        self._thread.shutdown()

    def _start(self, files: Files) -> None:
        if sum(array.nbytes for each in files.values() for array in each.arrays) > MOST_COPIED:
            _write(files)
            return
        self._writing = self._thread.submit(_write, {p: _copy(c) for p, c in files.items()})

    def _finish(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()


def _copy(original: Checkpoint) -> Checkpoint:
    return Checkpoint(original.header, tuple(np.array(array) for array in original.arrays))


def _write(files: Files) -> None:
    for path, content in files.items():
        checkpoint.write(path, content.header, content.arrays)
