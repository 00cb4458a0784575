"""Writes checkpoints while training goes on."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from cnnsearch.training import checkpoint
from cnnsearch.training.checkpoint import Checkpoint

MOST_COPIED = 256 * 2**20
"""Bytes of arrays that are copied, to be written while training changes the originals."""

Files = Mapping[Path, Checkpoint]


class CheckpointWriter:
    """Writes the files of one epoch in a thread: waiting for the disk takes milliseconds."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._files: Files = {}
        self._writing: Future[None] | None = None

    @property
    def is_done(self) -> bool:
        """Whether :meth:`finish` would return, or raise, at once."""
        return self._writing is None or self._writing.done()

    def start(self, files: Files) -> None:
        """Starts writing files, in this order; waits if they are too large to copy."""
        size = sum(array.nbytes for content in files.values() for array in content.arrays)
        fits = size <= MOST_COPIED
        self._files = {path: content.copy() for path, content in files.items()} if fits else files
        self.retry()
        if not fits:
            self.wait()

    def retry(self) -> None:
        """Starts to write the same files again."""
        self._writing = self._thread.submit(write_files, self._files)

    def wait(self) -> None:
        """Waits for pending writes, whose errors :meth:`finish` raises."""
        if self._writing is not None:
            wait([self._writing])

    def finish(self) -> None:
        """Waits until the files are complete, on disk.

        Raises:
            DiskFullError: the disk is full.
            RunError: a file cannot be written for another reason.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()
        self._files = {}

    def close(self) -> None:
        """Waits for pending writes and ignores their errors."""
        self._thread.shutdown()


def write_files(files: Files) -> None:
    """Writes files, in this order.

    Raises:
        DiskFullError: the disk is full.
        RunError: a file cannot be written for another reason; those after it are not.
    """
    for path, content in files.items():
        checkpoint.write(path, content.header, content.arrays)
