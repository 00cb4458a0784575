"""Looks at all images of a source, in threads, and keeps facts and no pixels."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from cnnsearch.data.inspection.facts import Facts, look
from cnnsearch.data.sources.protocol import Collection, Examples, Item
from cnnsearch.data.sources.split import split
from cnnsearch.utils.hardware import cores

Progress = Callable[[int, int], None]
_BATCH = 16


@dataclass(frozen=True)
class Part:
    """A split as it has been looked at.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        carved: whether cnnsearch holds it out, for lack of one in the source.
        examples: to read images again.
        facts: of each example, in their order.
    """

    name: str
    carved: bool
    examples: Examples
    facts: list[Facts]

    @property
    def readable(self) -> list[int]:
        """Rows that can be read."""
        return [row for row, one in enumerate(self.facts) if not one.reason]


def scan(
    listed: Collection, validation: float, test: float, seed: int, progress: Progress | None
) -> list[Part]:
    """Returns the splits that a search would use, every image of them looked at.

    Raises:
        DataError: no validation split can be held out, or a file changed meanwhile.
    """
    parts = split(listed, validation, test, seed)
    carved = (False, listed.validation is None, listed.test is None)
    total, done = sum(map(len, parts)), 0
    found = []
    for name, held, examples in zip(("train", "validation", "test"), carved, parts, strict=True):
        facts = []
        for batch in _looked_at(examples.items()):
            facts += batch
            done += len(batch)
            if progress:
                progress(done, total)
        found.append(Part(name, held, examples, facts))
    return found


def _looked_at(items: Iterator[Item]) -> Iterator[list[Facts]]:
    """Yields facts in order; Pillow lets go of the lock, and few images are in memory at a time."""

    def batch(chunk: list[Item]) -> list[Facts]:
        return [look(item) for item in chunk]

    workers = min(32, cores())
    pending: deque[Future[list[Facts]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="inspect") as pool:
        try:
            while chunk := list(islice(items, _BATCH)):
                pending.append(pool.submit(batch, chunk))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
