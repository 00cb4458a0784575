"""The corpora by name, and which share of the inputs each has."""

from tests.fuzz.harness import Corpus
from tests.fuzz.runs import Runs
from tests.fuzz.spaces import Spaces

SHARES = {"spaces": 0.5, "runs": 0.15}


def corpus_named(name: str) -> Corpus:
    corpora: dict[str, type[Corpus]] = {"spaces": Spaces, "runs": Runs}
    return corpora[name]()
