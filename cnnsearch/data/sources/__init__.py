"""The kinds of data source: one class each in a file of its own, and one line each in `SOURCES`.

What enters is a text such as ``photos/``, ``digits`` or ``tfds:mnist``; what leaves is a
`Collection` of listed examples, which other modules decode.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnsearch.data.sources.archive import ArchiveSource
from cnnsearch.data.sources.cached_arrays import CachedArraysSource
from cnnsearch.data.sources.digits import DigitsSource
from cnnsearch.data.sources.folder import FolderSource
from cnnsearch.data.sources.npz import NpzSource
from cnnsearch.data.sources.protocol import Examples, Folders, Source
from cnnsearch.data.sources.table import TableSource
from cnnsearch.data.sources.tfds import TfdsSource
from cnnsearch.errors import DataError, suggest

# The first that recognizes a text opens it: a folder of train.zip and test.zip is an archive.
SOURCES: tuple[type[Source], ...] = (
    DigitsSource,
    ArchiveSource,
    FolderSource,
    TableSource,
    NpzSource,
    TfdsSource,
    CachedArraysSource,
)


def find_source(text: str, folders: Folders) -> Source:
    """Returns the source that a text names, not opened yet.

    Raises:
        DataError: It names none.
    """
    for kind in SOURCES:
        if source := kind.recognize(text, folders):
            return source
    path = Path(text).expanduser()
    if path.is_file():
        raise DataError(f"{text!r} is a file; a data source is {describe_forms()}")
    if os.sep in text or text.startswith(("~", ".")):
        hint = suggest(path.name, list_names(path.parent))
        raise DataError(f"data folder {text!r} does not exist{hint}")
    known = [name for kind in SOURCES for name in kind.suggestions]
    hint = suggest(text, [*known, *list_names(Path())])
    raise DataError(f"unknown data set {text!r}{hint}; a data source is {describe_forms()}")


def reopen(plan: Mapping[str, Any], folder: Path) -> Examples:
    """Returns the examples that a plan describes, by the source of its kind.

    Args:
        plan: As `Examples.plan` returned it.
        folder: Of the plan, for temporary files.
    """
    return {kind.kind: kind for kind in SOURCES}[plan["kind"]].reopen(plan, folder)


def describe_shadowed(text: str) -> str:
    """Returns a warning if a folder has the name of a data set, which is read in its place."""
    names = [name for kind in SOURCES for name in kind.suggestions]
    if text not in names or not Path(text).is_dir():
        return ""
    return f"{text} is the data set of that name; the folder of that name is ./{text}."


def describe_forms() -> str:
    """Returns how each kind of source is written: ``digits, ... or tfds:NAME``."""
    *forms, last = (kind.form for kind in SOURCES if kind.form)
    return f"{', '.join(forms)} or {last}"


def list_names(folder: Path) -> list[str]:
    """Returns the names in a folder that are not hidden; none of a folder that cannot be read."""
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except OSError:
        return []
