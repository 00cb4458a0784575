"""The command that describes data."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnsearch.cli.common import DataCommand, Json, command, make_console, print_json
from cnnsearch.cli.options import add_settings
from cnnsearch.data.loading import DATA_FORMS

if TYPE_CHECKING:
    from cnnsearch.data.inspection.scan import Progress

SECONDS = 10.0
"""Between two lines of progress in a log."""


@command(
    "cnnsearch data photos/",
    "cnnsearch data photos.zip --image 64 --sheet photos.png",
    cls=DataCommand,
)
@add_settings(
    ["image", "skip_bad_images", "seed", "max_memory", "data_dir"],
    seed="Seed of the splits.",
)
def data(
    source: Annotated[str, typer.Argument(help=f"{DATA_FORMS}.")],
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Write a contact sheet: a .png file.")
    ] = None,
    json_: Json = False,
    **settings: Any,
) -> None:
    """Describe images before searching on them.

    Counts classes and splits, measures sizes and colours, names files that cannot be read, finds
    copies and leaks between splits. Reads every image, those of the test split too; trains nothing.
    """
    from cnnsearch.data.inspection import describe
    from cnnsearch.data.inspection.table import print_report
    from cnnsearch.engine.options import DataOptions

    seed = settings.pop("seed")
    options = DataOptions(source=source, **settings)
    with show_progress() as progress:
        report = describe(
            source,
            image=options.size,
            seed=seed,
            skip_bad_images=options.skip_bad_images,
            data_dir=Path(options.data_dir) if options.data_dir else None,
            max_memory=options.max_memory,
            sheet=sheet,
            progress=progress,
        )
    if json_:
        print_json(report.to_data())
    else:
        print_report(report, make_console())


@contextmanager
def show_progress() -> "Iterator[Progress]":
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
