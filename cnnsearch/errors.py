"""The exceptions of cnnsearch, one tree.

Each message is one line that names the rule, the place (file and key, or flag) and the value. The
command line prints it and exits with code 2.
"""

import difflib
import re
from collections.abc import Iterable, Sequence

LONGEST = 1000
SIMILAR = 0.6
"""Least share of letters in common for a name to be suggested."""
LEAST_CHARACTERS, MOST_NAMES = 3, 3
"""Of the beginning of a name that is suggested, and names that are."""


class CnnsearchError(Exception):
    """An error that the user can correct, never a bug in cnnsearch.

    Args:
        message: shown as one printable line, whatever the values that it quotes contain.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(to_one_line(str(message)))


class SpaceError(CnnsearchError):
    """A search space file that breaks a rule of the format."""


class ArchitectureError(CnnsearchError):
    """An architecture that cannot be built: branches do not join, feature maps vanish."""


class BudgetError(CnnsearchError):
    """A budget that cannot be parsed, or that no candidate meets."""


class DataError(CnnsearchError):
    """A data source that is missing, empty, unreadable or malformed."""


class RunError(CnnsearchError):
    """A run directory that cannot be created, found, read or written."""


class DiskFullError(RunError):
    """A full disk; the run continues once there is space."""


class TrackingError(CnnsearchError):
    """An MLflow store that refuses a request or does not answer."""


class ExportError(CnnsearchError):
    """An export that cannot be made, or that does not reproduce its model."""


def to_one_line(text: str) -> str:
    """Returns text as one line of at most 1,000 characters; unprintable ones are escaped."""
    words = text if "\n" not in text else " ".join(text.split())
    if not words.isprintable():
        words = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def suggest(name: str, known: Iterable[str]) -> str:
    """Returns a hint such as ``", did you mean 'dense'?"``, or "" if no name is close."""
    names = list(known)
    abbreviated = [one for one in names if "".join(re.findall(r"(?:^|_)(\w)", one)) == name]
    near = difflib.get_close_matches(str(name), names, n=MOST_NAMES, cutoff=SIMILAR)
    close = abbreviated or list(dict.fromkeys([*_find_longer(name, names), *near]))[:MOST_NAMES]
    return f", did you mean {' or '.join(repr(c) for c in close)}?" if close else ""


def _find_longer(name: str, names: Sequence[str]) -> list[str]:
    """Returns names that begin with ``name``, punctuation aside, the shortest first."""
    begins = _list_characters(name)
    if len(begins) < LEAST_CHARACTERS:
        return []
    return sorted((one for one in names if _list_characters(one).startswith(begins)), key=len)


def _list_characters(name: str) -> str:
    return "".join(filter(str.isalnum, str(name))).lower()


def suggest_or_list(name: str, known: Iterable[str]) -> str:
    """Returns the hint of :func:`suggest`, or all known names where none is close."""
    names = list(known)
    listed = f" (known: {', '.join(names)})" if names else ""
    return suggest(name, names) or listed
