"""Reads all images of a source in threads, and keeps facts about them and no pixels."""

from collections.abc import Callable
from dataclasses import dataclass

from cnnsearch.data.dataset import SPLIT_VERSION
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
    sources = {"train": listed.train, "validation": listed.validation, "test": listed.test}
    given = {name: examples for name, examples in sources.items() if examples}
    total, done = sum(map(len, given.values())), 0
    inspected: dict[str, list[Facts]] = {name: [] for name in given}
    for name, examples in given.items():
        for facts in map_in_threads(inspect_image, examples.items()):
            inspected[name].append(facts)
            done += 1
            if progress:
                progress(done, total)
    by_key = dict(zip(listed.train.keys, inspected.pop("train"), strict=True))
    contents = [facts.content or key for key, facts in by_key.items()]
    parts = split(listed, validation, test, seed, SPLIT_VERSION, contents)
    return [
        Part(
            name,
            name != "train" and name not in given,
            examples,
            inspected.get(name) or [by_key[key] for key in examples.keys],
        )
        for name, examples in zip(sources, parts, strict=True)
    ]
