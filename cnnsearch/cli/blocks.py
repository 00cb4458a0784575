"""Commands that explain blocks, and that find a network in a space."""

from typing import TYPE_CHECKING, Annotated

import typer

from cnnsearch.cli.architectures import Network, find_network
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
from cnnsearch.cli.completion import complete_block

if TYPE_CHECKING:
    from cnnsearch.space.reference import Entry


MOST_SHOWN = 12
"""Differences that are printed."""


@command("cnnsearch blocks", "cnnsearch blocks bottleneck", "cnnsearch blocks stage")
def blocks(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A block, a layer, or a section: network, style, stage, head, attention, recipe"
            " and others; default: the list of all.",
            autocompletion=complete_block,
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Explain the blocks, layers and sections of space files.

    What each is, from which paper, and its options with values and defaults.
    """
    from dataclasses import asdict

    from cnnsearch.space.reference import find_entry, list_entries

    found = list_entries() if name is None else (find_entry(name),)
    if json_:
        print_json([asdict(entry) for entry in found])
        return
    if name is None:
        _list_entries(found)
        return
    _show_entry(found[0])


def _list_entries(entries: "tuple[Entry, ...]") -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("name", "kind", "what it is", box=None, pad_edge=False)
    for entry in entries:
        table.add_row(entry.name, entry.kind, escape(entry.summary))
    print_table(table, highlight=False)


def _show_entry(entry: "Entry") -> None:
    from rich.markup import escape
    from rich.table import Table

    console = make_console()
    console.print(f"{entry.name} ({entry.kind}): {entry.summary}", highlight=False, markup=False)
    if entry.details:
        console.print(entry.details, highlight=False, markup=False)
    if not entry.options:
        console.print("It has no options.")
        return
    table = Table("option", "values", "default", "", box=None, pad_edge=False)
    for option in entry.options:
        cells = (option.name, option.values, option.default, option.text)
        table.add_row(*map(escape, cells))
    print_table(table, highlight=False)


@command(
    "cnnsearch locate resnet-20-cifar residual",
    "cnnsearch locate first:007 mixed",
)
def locate(network: Network, space: Space, runs: Runs = RUNS, json_: Json = False) -> None:
    """Find the hyperparameters that give a network.

    Exit code 1 if none were found: then the nearest network of the space is shown, and what
    differs.
    """
    from dataclasses import asdict

    from cnnsearch.runs.lookup import find_space
    from cnnsearch.space.locate import locate as locate_network

    found = locate_network(find_network(network, runs), find_space(space, runs))
    if json_:
        print_json(asdict(found))
        raise typer.Exit(not found.is_exact)
    words = "gives it" if found.is_exact else "does not give it, as far as was tried; the nearest"
    print(f"{network} in {space}: the space {words}:")
    for key, value in found.values.items():
        print(f"  {key}: {value}")
    if not found.is_exact:
        print("What differs (the network, the space):")
        for place, wanted, there in found.differences[:MOST_SHOWN]:
            print(f"  {place}: {wanted}, {there}")
        if len(found.differences) > MOST_SHOWN:
            print(f"  and {len(found.differences) - MOST_SHOWN} more (--json has all)")
        raise typer.Exit(1)
