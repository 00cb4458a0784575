"""Commands on spaces and architectures: nothing is trained, no framework imported."""

from typing import Annotated, Any

import typer

from cnnsearch.cli.common import (
    RUNS,
    Json,
    Runs,
    Space,
    command,
    make_console,
    print_json,
    print_table,
)
from cnnsearch.cli.completion import complete_space
from cnnsearch.cli.options import BUDGETS, add_settings


@command("cnnsearch spaces", "cnnsearch spaces residual > my_space.yaml")
def spaces(
    space: Annotated[
        str | None,
        typer.Argument(
            help="Print this space or published network, to copy and change.",
            autocompletion=complete_space,
        ),
    ] = None,
) -> None:
    """List the search spaces that ship, or print one."""
    from rich.table import Table

    from cnnsearch.space.files import list_spaces
    from cnnsearch.space.search_space import SearchSpace

    if space is not None:
        print(SearchSpace.load(space).text, end="")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("space", "candidates, at most", "input", "description"):
        table.add_column(name)
    for name in list_spaces():
        each = SearchSpace.load(name)
        table.add_row(name, _size(each), "x".join(map(str, each.input)), each.description)
    print_table(table)


def _size(space: Any) -> str:
    size = f"{space.size:,}" if space.size < 10**6 else f"{space.size:.1e}"
    return f"{size} x {len(space.continuous)} continuous" if space.continuous else size


@command("cnnsearch published")
def published(
    json_: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
) -> None:
    """List the published networks.

    Each can be used wherever a space can. The last column says whose counts ours equal exactly.
    """
    from rich.table import Table

    from cnnsearch.space.published import HEADER, list_published, make_rows

    if json_:
        print_json([vars(network) for network in list_published()])
        return
    if markdown:
        for row in (HEADER, ["---"] * len(HEADER), *make_rows()):
            print(f"| {' | '.join(row)} |")
        return
    shown = Table(box=None, pad_edge=False)
    for name in HEADER:
        shown.add_column(name, justify="right" if name in ("params", "MACs") else "left")
    for row in make_rows():
        shown.add_row(*row)
    print_table(shown)


@command("cnnsearch check residual", "cnnsearch check my_space.yaml --max-macs 50M")
@add_settings(["device", *BUDGETS])
def check(
    space: Space,
    samples: Annotated[int, typer.Option(help="Random candidates to count.", min=1)] = 100,
    runs: Runs = RUNS,
    json_: Json = False,
    **settings: Any,
) -> None:
    """Check a space and show size and costs.

    Reads every option, wires random candidates and counts them; trains nothing.
    """
    from cnnsearch.engine.options import SearchOptions
    from cnnsearch.runs.lookup import find_space
    from cnnsearch.space.check import check_space, check_table

    limits = SearchOptions(**settings)
    loaded = find_space(space, runs)
    report = check_space(loaded, samples, limits.budget)
    if json_:
        print_json(report)
    else:
        check_table(loaded, report, make_console())
    if not report["within_budget"]:
        raise typer.Exit(1)


@command("cnnsearch devices")
def devices(json_: Json = False) -> None:
    """List devices and their memory, for --device.

    All of it is a network's limit: deduct what the program itself needs with --max-ram.
    """
    from rich.table import Table

    from cnnsearch.architecture.devices import DEVICES

    if json_:
        print_json([vars(device) for device in DEVICES])
        return
    table = Table(box=None, pad_edge=False)
    for name in ("device", "RAM, bytes", "flash, bytes", "source"):
        table.add_column(name, justify="right" if "bytes" in name else "left")
    for device in DEVICES:
        sizes = ("-" if size is None else f"{size:,}" for size in (device.ram, device.flash))
        table.add_row(device.name, *sizes, device.source)
    print_table(table)


@command("cnnsearch schema > space.schema.json")
def schema() -> None:
    """Print the JSON Schema of space files.

    An editor that knows it completes and checks a space file as it is written.
    """
    from cnnsearch.space.json_schema import space_schema

    print_json(space_schema())
