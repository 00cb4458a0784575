"""The corpora by name, and which share of the inputs each has."""

from tests.fuzz.harness import Corpus
from tests.fuzz.media import Archives, Arrays, Images, Tables
from tests.fuzz.runs import Runs
from tests.fuzz.spaces import Spaces

SHARES = {
    "spaces": 0.5,
    "runs": 0.03,
    "images": 0.37,
    "archives": 0.05,
    "tables": 0.02,
    "arrays": 0.03,
}


def corpus_named(name: str) -> Corpus:
    """Returns a corpus."""
    corpora: tuple[type[Corpus], ...] = (Spaces, Runs, Images, Archives, Tables, Arrays)
    return next(corpus() for corpus in corpora if corpus.name == name)
