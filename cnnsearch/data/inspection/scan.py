"""Reads all images of a source in threads, and keeps facts about them and no pixels."""

from collections.abc import Callable
from dataclasses import dataclass

from cnnsearch.data.inspection.facts import Facts, inspect_image
from cnnsearch.data.sources.decode import map_in_threads
from cnnsearch.data.sources.protocol import Collection, Examples
from cnnsearch.data.sources.split import split

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Part:
    """A split whose images have been inspected.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        carved: Whether it is taken from train, because the source has no such split.
        examples: To read images again.
        facts: Of each example, in their order.
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
    """Returns the splits that a search would use, with facts about every image.

    Raises:
        DataError: no validation split can be held out, or a file changed meanwhile.
    """
    parts = split(listed, validation, test, seed)
    carved = (False, listed.validation is None, listed.test is None)
    total, done = sum(map(len, parts)), 0
    found = []
    for name, held, examples in zip(("train", "validation", "test"), carved, parts, strict=True):
        facts = []
        for one in map_in_threads(inspect_image, examples.items()):
            facts.append(one)
            done += 1
            if progress:
                progress(done, total)
        found.append(Part(name, held, examples, facts))
    return found
