"""The exceptions of cnnsearch: one tree, each message one line to act on.

A message names the rule, the place (file and key, or flag) and the value. The command line prints
it as it is and ends with exit code 2.
"""

import difflib
from collections.abc import Iterable

LONGEST = 1000


class CnnsearchError(Exception):
    """A mistake that the user can mend; never a fault of cnnsearch's own.

    Args:
        message: what is shown of it is one line that a terminal can print, whatever the file, key
            or value that it quotes is made of.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(to_one_line(str(message)))


class SpaceError(CnnsearchError):
    """A search space file that breaks a rule of the format."""


class ArchitectureError(CnnsearchError):
    """An architecture that cannot be wired: branches that do not join, maps that vanish."""


class BudgetError(CnnsearchError):
    """A budget that cannot be read or that no candidate meets."""


class DataError(CnnsearchError):
    """A data source that is missing, empty, unreadable or malformed."""


class RunError(CnnsearchError):
    """A run directory that cannot be made, found, read or written."""


class DiskFullError(RunError):
    """A disk without room for what a run has to write; it goes on when there is some."""


class TrackingError(CnnsearchError):
    """An MLflow store that refuses what a command needs of it."""


class ExportError(CnnsearchError):
    """An export that cannot be made or that does not compute what its model computes."""


def to_one_line(text: str) -> str:
    """Returns text on one line, cut where it is long; what cannot be printed is spelt out."""
    words = text if "\n" not in text else " ".join(text.split())
    if not words.isprintable():
        words = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def suggest(name: str, known: Iterable[str]) -> str:
    """Returns a hint such as ``", did you mean 'dense'?"``, or nothing if nothing is close."""
    close = difflib.get_close_matches(str(name), list(known), n=3, cutoff=0.5)
    return f", did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
