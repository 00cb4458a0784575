"""The corpora by name, and which share of the inputs each has."""

from tests.fuzz.harness import Corpus
from tests.fuzz.spaces import Spaces

SHARES = {"spaces": 0.4}


def corpus_named(name: str) -> Corpus:
    corpora: dict[str, type[Corpus]] = {"spaces": Spaces}
    return corpora[name]()
