"""What the commands share: the program, options, and output."""

import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from cnnsearch.cli.commands import Program
from cnnsearch.cli.completion import complete_run, complete_space
from cnnsearch.cli.help import Command

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from cnnsearch.runs.directory import RunDirectory

Function = TypeVar("Function", bound=Callable[..., Any])

app = typer.Typer(
    no_args_is_help=True,
    cls=Program,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Finds the convolutional network that fits your images and your budget.",
)

_SPACE = typer.Argument(
    help="A shipped space, a published network, a file, or RUN:TRIAL.",
    autocompletion=complete_space,
)
Space = Annotated[str, _SPACE]
OptionalSpace = Annotated[str | None, _SPACE]
Runs = Annotated[
    Path, typer.Option("--runs", help="The folder that holds all runs.", rich_help_panel="Output")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel="Output")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing.", rich_help_panel="Output")
]
Plain = Annotated[
    bool,
    typer.Option("--plain", help="Print lines instead of a live table.", rich_help_panel="Output"),
]
Name = Annotated[
    str | None,
    typer.Option(
        help="Name of the run; an existing run of that name is resumed.", rich_help_panel="Output"
    ),
]
RunName = Annotated[str, typer.Argument(help="The run's name.", autocompletion=complete_run)]
LatestRun = Annotated[
    str | None,
    typer.Argument(help="The run's name; default: the latest.", autocompletion=complete_run),
]
RunOption = Annotated[
    str | None,
    typer.Option("--run", help="The run's name; default: the latest.", autocompletion=complete_run),
]
StoreUri = Annotated[
    str | None, typer.Option("--mlflow-uri", help="The store; default: the run's own.")
]
RUNS = Path("runs")
COMFORTABLE, UNLIMITED = 100, 10_000
"""Characters of a line: a terminal with fewer than the first is narrow."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells."""


def command(
    *examples: str, name: str | None = None, cls: type[Command] = Command
) -> Callable[[Function], Function]:
    """Adds a command to the program.

    Args:
        *examples: lines at the end of its help.
        name: of the command; None: the function's.
        cls: its class.
    """
    return app.command(name, cls=cls, epilog="\n".join(examples))


class DataCommand(Command):
    """A command with a data source, whose help lists the kinds there are.

    They are imported when the help is printed, not whenever the program starts.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.complete_help()
        super().format_help(ctx, formatter)

    def complete_help(self) -> None:
        """Replaces `DATA_FORMS` in the help texts."""
        from cnnsearch.data.loading import DATA_FORMS
        from cnnsearch.data.sources import describe_forms

        parameters: Any = self.params
        for parameter in parameters:
            parameter.help = (parameter.help or "").replace(DATA_FORMS, describe_forms())


class PlacedCommand(DataCommand):
    """A command whose ``--ray`` needs no value: then it starts a cluster on this machine."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_complete_ray(args)))


def _complete_ray(args: list[str]) -> Iterator[str]:
    """Inserts ``local`` after a ``--ray`` without an address."""
    for place, arg in enumerate(args):
        yield arg
        following = args[place + 1 : place + 2]
        is_address = following and (
            ":" in following[0] or following[0] in ("auto", "local", "none")
        )
        if arg == "--ray" and not is_address:
            yield "local"


def make_console() -> "Console":
    """Returns the terminal; piped output is not cut at 80 columns."""
    from rich.console import Console

    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=120)


def fit_table(table: "Table", console: "Console", whole: Collection[str] = ()) -> "Table":
    """Lets a narrow terminal fold long words, but neither cut nor wrap a number.

    Args:
        table: whose columns of numbers are justified to the right.
        console: where it is printed. Without the width for them, lines and margins are left out.
        whole: headings of other columns that are not wrapped.
    """
    for column in table.columns:
        column.overflow = "fold"
        column.no_wrap = column.justify == "right" or column.header in whole
    options = console.options.update(max_width=UNLIMITED)
    natural = console.measure(table, options=options).maximum
    if console.width < min(natural, COMFORTABLE):
        table.box, table.pad_edge, table.padding = None, False, (0, 1, 0, 0)
        for column in table.columns:
            if column.justify == "right":
                column.header = str(column.header).replace(" ", "\n")
    return table


def print_table(table: "Table", whole: Collection[str] = (), *, highlight: bool = True) -> None:
    """Prints a table that fits the terminal; ``whole`` is that of :func:`fit_table`."""
    console = make_console()
    console.print(fit_table(table, console, whole), highlight=highlight)


def print_json(data: object) -> None:
    """Prints data as JSON."""
    print(json.dumps(data, indent=2))


def open_run(runs: Path, name: str | None) -> "RunDirectory":
    """Opens the run of that name, or the latest."""
    from cnnsearch.errors import RunError
    from cnnsearch.runs.directory import RunDirectory, list_runs

    if name is None:
        dated = [one for one in list_runs(runs) if one.created is not None]
        if not dated:
            raise RunError(f"there is no run in {runs} yet")
        name = max(dated, key=lambda one: one.created or 0.0).name
    return RunDirectory.open(runs, name)


def make_display(json_: bool, quiet: bool, plain: bool) -> Any:
    """Returns the display that the options request."""
    from cnnsearch.engine.display import create_display

    modes = {"json": json_, "quiet": quiet, "plain": plain}
    return create_display(next((mode for mode, is_set in modes.items() if is_set), "auto"))
