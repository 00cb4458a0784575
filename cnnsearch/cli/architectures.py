"""Commands on single architectures: what they cost, how they differ, what they look like."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnsearch.cli.common import RUNS, Json, Runs, command, make_console, print_json
from cnnsearch.cli.completion import complete_network_or_run
from cnnsearch.cli.options import BUDGETS, add_settings

if TYPE_CHECKING:
    from cnnsearch.architecture.architecture import Architecture

Network = Annotated[
    str,
    typer.Argument(
        help="A published network, a file without choices, RUN:TRIAL, or RUN (best).",
        autocompletion=complete_network_or_run,
    ),
]
Image = Annotated[
    str | None,
    typer.Option(
        "--image", help="Another image size than its own: 224, or 224x192 (height first)."
    ),
]


class By(str, Enum):  # noqa: UP042  (typer lists the values of such enums)
    """What a row of a table stands for."""

    layer = "layer"
    block = "block"
    stage = "stage"


class Coarse(str, Enum):  # noqa: UP042
    """What is aligned in a comparison."""

    block = "block"
    stage = "stage"


@command(
    "cnnsearch cost resnet-50",
    "cnnsearch cost first:007 --by layer",
    "cnnsearch cost first --max-ram 256K --max-flash 1M",
)
@add_settings(["device", *BUDGETS])
def cost(
    network: Network,
    by: Annotated[By, typer.Option("--by", help="What a row stands for.")] = By.block,
    image: Image = None,
    runs: Runs = RUNS,
    json_: Json = False,
    **settings: Any,
) -> None:
    """Show what a network costs, part by part.

    Parameters, multiply-accumulates and output shapes; FLOPs are 2 x MACs. Exits with 1 if the
    network exceeds a budget.
    """
    from cnnsearch.architecture.cost import count
    from cnnsearch.architecture.cost_table import cost_data, cost_lines, cost_table
    from cnnsearch.engine.options import SearchOptions

    budget = SearchOptions(**settings).budget
    found = find_network(network, runs, image)
    fits = budget.allows(count(found))
    if json_:
        print_json({**cost_data(found, by.value), "within_budget": fits})
    else:
        terminal = make_console()
        terminal.print(cost_table(found, by.value))
        terminal.print(cost_lines(found), highlight=False)
        if budget.bounds:
            verdict = "Within" if fits else "Over"
            terminal.print(f"{verdict} the budget of {budget.describe()}.", highlight=False)
    if not fits:
        raise typer.Exit(1)


@command("cnnsearch diff resnet-50 resnet-101", "cnnsearch diff first:003 first:007 --by block")
def diff(
    left: Network,
    right: Network,
    by: Annotated[Coarse, typer.Option("--by", help="What a row stands for.")] = Coarse.stage,
    image: Image = None,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Compare two networks side by side.

    Marks: = the same, ~ different, < only in the first, > only in the second.
    """
    from cnnsearch.architecture.diff import diff_data, diff_lines, diff_table

    a, b = find_network(left, runs, image), find_network(right, runs, image)
    if json_:
        print_json(diff_data(a, b, by.value))
        return
    terminal = make_console()
    terminal.print(diff_table(a, b, by.value))
    terminal.print()
    terminal.print(diff_lines(a, b), highlight=False)


@command("cnnsearch draw first --out best.svg", "cnnsearch draw googlenet --out googlenet.png")
def draw(
    network: Network,
    out: Annotated[Path, typer.Option("--out", help="The file to write: .svg or .png.")],
    image: Image = None,
    runs: Runs = RUNS,
) -> None:
    """Draw a network: blocks, branches, shapes.

    Blocks that repeat are drawn once; colours tell kinds of layers apart.
    """
    from cnnsearch.architecture.drawing import draw as draw_network

    found = find_network(network, runs, image)
    print(f"Drew {found.name} to {draw_network(found, out)}.")


def find_network(network: str, runs: Path, image: str | None = None) -> "Architecture":
    """Finds a network and makes sure that it can be wired at this image size."""
    from cnnsearch.architecture.cost import count
    from cnnsearch.errors import ArchitectureError
    from cnnsearch.runs.lookup import find_architecture
    from cnnsearch.utils.units import parse_image

    found = find_architecture(network, runs)
    found = found.adapt(image=parse_image(image)) if image else found
    try:
        count(found)
    except ArchitectureError as error:
        at = "{}x{}".format(*found.input[:2])
        raise ArchitectureError(f"{found.name} at {at}: {error}") from None
    return found
