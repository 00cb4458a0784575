"""The command that describes data."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnsearch.cli.common import Json, app, console, print_json

if TYPE_CHECKING:
    from cnnsearch.data.inspection.scan import Progress

SECONDS = 10.0
"""Between two lines of progress in a log."""


@app.command()
def data(
    source: Annotated[str, typer.Argument(help="Whatever search takes as --data.")],
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Write a contact sheet: a .png file.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="The size candidates would read: 96 or 96x64.")
    ] = None,
    skip_bad_images: Annotated[
        bool, typer.Option("--skip-bad-images", help="As for search: leave unreadable images out.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the splits that are held out.")] = 0,
    max_memory: Annotated[
        str | None, typer.Option("--max-memory", help="As for search: 500M, 8G.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where TensorFlow Datasets keeps its data.")
    ] = None,
    json_: Json = False,
) -> None:
    """Describe images before searching on them.

    Counts classes and splits, measures sizes and colours, names files that cannot be read, finds
    copies and leaks between splits. Reads every image, those of the test split too; trains nothing.
    """
    from cnnsearch.data.inspection import describe
    from cnnsearch.data.inspection.table import print_report
    from cnnsearch.runs.lookup import parse_image
    from cnnsearch.utils.units import parse_amount

    size = None if image is None else parse_image(image)
    memory = None if max_memory is None else parse_amount(max_memory, "--max-memory")
    with _progress() as progress:
        report = describe(
            source,
            image=size,
            seed=seed,
            skip_bad_images=skip_bad_images,
            data_dir=data_dir,
            max_memory=memory,
            sheet=sheet,
            progress=progress,
        )
    if json_:
        print_json(report.to_data())
    else:
        print_report(report, console())


@contextmanager
def _progress() -> "Iterator[Progress]":
    """Shows a bar on a terminal's stderr; in a log, a line now and then."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    terminal = Console(stderr=True)
    if not terminal.is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("reading images"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=terminal, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Lines:
    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._said >= SECONDS:
            self._said = time.monotonic()
            print(f"{done:,} of {total:,} images read", file=sys.stderr, flush=True)
