"""What the commands have in common: the program, its shared options, how it prints."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from rich.console import Console

    from cnnsearch.runs.directory import RunDirectory

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Finds the convolutional network that fits your images and your budget.",
)

Space = Annotated[str, typer.Argument(help="A space that ships, a published network, or a file.")]
Runs = Annotated[Path, typer.Option("--runs", help="The folder that holds all runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
MaxParams = Annotated[
    str | None, typer.Option("--max-params", help="At most so many parameters: 300K, 1M.")
]
MaxMacs = Annotated[
    str | None,
    typer.Option("--max-macs", help="At most so many multiply-accumulates an image: 50M, 1.5G."),
]
Workers = Annotated[
    int | None,
    typer.Option(help="Candidates side by side; 0: in this process; default: 1, or 1 a GPU."),
]
Gpus = Annotated[
    str | None, typer.Option(help="Give each worker one of these GPUs: 0-3, 0,2 or all.")
]
WorkersPerGpu = Annotated[
    int, typer.Option("--workers-per-gpu", help="Workers that share one of --gpus.")
]
MaxDisk = Annotated[
    str | None,
    typer.Option("--max-disk", help="Checkpoints may take so much: 50G; default: 20G."),
]
Ray = Annotated[
    str | None,
    typer.Option("--ray", help="Train on a Ray cluster: HOST:PORT, auto, or nothing: start one."),
]
GpusPerTrial = Annotated[
    float | None,
    typer.Option("--gpus-per-trial", help="With --ray, of a candidate: 0.25; default: 1."),
]
RUNS = Path("runs")
INTERRUPTED = 130
"""The exit code of what Ctrl-C ended, as shells have it."""


class PlacedCommand(TyperCommand):
    """A command whose ``--ray`` may stand alone, for a cluster of this machine's own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_addressed(args)))


def _addressed(args: list[str]) -> Iterator[str]:
    """Yields the arguments, ``local`` after a ``--ray`` that no address follows."""
    for place, arg in enumerate(args):
        yield arg
        following = args[place + 1 : place + 2]
        is_address = following and (
            ":" in following[0] or following[0] in ("auto", "local", "none")
        )
        if arg == "--ray" and not is_address:
            yield "local"


def console() -> "Console":
    """Returns the terminal; what is piped is never cut at 80 columns."""
    from rich.console import Console

    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=120)


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


def watcher_of(json_: bool, quiet: bool, plain: bool) -> Any:
    """Returns the display that the options ask for."""
    from cnnsearch.engine.display import choose

    modes = {"json": json_, "quiet": quiet, "plain": plain}
    return choose(next((mode for mode, asked in modes.items() if asked), "auto"))
