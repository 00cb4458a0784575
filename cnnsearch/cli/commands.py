"""The commands in groups; a command's module is imported when the command is used."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from typer import Typer
from typer.core import TyperGroup
from typer.main import get_command_from_info


class Entry(NamedTuple):
    """One command.

    Attributes:
        module: of ``cnnsearch.cli`` that has it.
        summary: the first line of its help.
    """

    module: str
    summary: str


GROUPS: Final[Mapping[str, Mapping[str, Entry]]] = MappingProxyType(
    {
        "Start here": {
            "init": Entry("setup", "Look at your images and write a search for them."),
            "search": Entry("runs", "Search a space on your images."),
            "results": Entry("results", "Show the leaderboard and Pareto front."),
            "train": Entry("train", "Train winners in full and test them once."),
            "export": Entry("exporting", "Export a candidate and verify it."),
            "predict": Entry("exporting", "Classify images with an export."),
        },
        "Understand": {
            "data": Entry("data", "Describe images before searching on them."),
            "report": Entry("report", "Write a report of a search, in one file."),
            "compare": Entry("report", "Compare searches: settings and results."),
            "fidelity": Entry("fidelity", "Measure whether short trials rank as long ones do."),
            "ui": Entry("models", "Serve the MLflow UI on this machine."),
        },
        "Networks": {
            "spaces": Entry("spaces", "List the search spaces that ship, or print one."),
            "spaces compare": Entry(
                "space_comparison", "Compare spaces by random candidates of each."
            ),
            "published": Entry("spaces", "List the published networks."),
            "check": Entry("spaces", "Check a space and show size and costs."),
            "cost": Entry("architectures", "Show what a network costs, part by part."),
            "devices": Entry("spaces", "List devices and their memory, for --device."),
            "latency": Entry("latency", "Measure the latency of networks on this machine."),
            "diff": Entry("architectures", "Compare two networks side by side."),
            "draw": Entry("architectures", "Draw a network: blocks, branches, shapes."),
            "scale": Entry("scaling", "Scale a network: depth, width and resolution."),
            "blocks": Entry("blocks", "Explain the blocks, layers and sections of space files."),
            "locate": Entry("blocks", "Find the hyperparameters that give a network."),
            "schema": Entry("spaces", "Print the JSON Schema of space files."),
        },
        "Manage": {
            "runs": Entry("runs", "List the runs and their states."),
            "resume": Entry("runs", "Resume a run with its settings."),
            "stop": Entry("managing", "Stop a run in good order, from another terminal."),
            "delete": Entry("managing", "Delete a run: its record, checkpoints and weights."),
            "sync": Entry("models", "Bring MLflow up to date with a run."),
            "register": Entry("register", "Register a candidate in MLflow."),
        },
    }
)


class LazyCommands(Mapping[str, Any]):
    """The commands by name, each made when it is looked up."""

    def __init__(self, app: Typer) -> None:
        self._app = app
        groups = GROUPS.values()
        self._entries = {name: entry for group in groups for name, entry in group.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, name: str) -> Any:
        import_module(f"cnnsearch.cli.{self._entries[name].module}")
        found = self._app.registered_commands
        info = next(i for i in found if name in (i.name, getattr(i.callback, "__name__", None)))
        return get_command_from_info(info, pretty_exceptions_short=True, rich_markup_mode=None)


class Program(TyperGroup):
    """The program: imports a command when it is used, and lists the commands in groups."""

    def __init__(self, **facts: Any) -> None:
        from cnnsearch.cli.common import app

        super().__init__(**facts)
        commands: Any = LazyCommands(app)
        self.commands = commands

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Finds commands of two words, too."""
        name = " ".join(args[:2])
        if len(args) > 1 and name in self.commands:
            return name, self.commands[name], args[2:]
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)
        options = [each.get_help_record(ctx) for each in self.get_params(ctx)]
        with formatter.section("Options"):
            formatter.write_dl(options)
        formatter.write_paragraph()
        formatter.write_text("cnnsearch COMMAND --help shows a command's options and examples.")

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, entries in GROUPS.items():
            with formatter.section(title):
                rows = [(name.ljust(9), entry.summary) for name, entry in entries.items()]
                formatter.write_dl(rows)
