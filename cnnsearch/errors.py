"""The exceptions of cnnsearch: one tree, each message one line to act on.

A message names the rule, the place (file and key, or flag) and the value. The command line prints
it as it is and ends with exit code 2.
"""

import difflib
from collections.abc import Iterable


class CnnsearchError(Exception):
    """A mistake that the user can mend; never a fault of cnnsearch's own."""


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


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns a hint such as ``", did you mean 'dense'?"``, or nothing if nothing is close."""
    close = difflib.get_close_matches(str(name), list(known), n=3, cutoff=0.5)
    return f", did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
