"""The command that proposes a search; a search without a space does the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnsearch.cli.common import DataCommand, Json, command, make_console, print_json
from cnnsearch.cli.data import show_progress
from cnnsearch.cli.options import BUDGETS, add_settings
from cnnsearch.data.loading import DATA_FORMS

if TYPE_CHECKING:
    from cnnsearch.engine.proposal import Proposal


@command(
    "cnnsearch init photos/",
    "cnnsearch init photos/ --max-time 1h",
    "cnnsearch init photos.zip --image 96 --out mine.yaml",
    cls=DataCommand,
)
@add_settings(["image", "max_time", "trials", "epochs", *BUDGETS], as_changes=True)
def init(
    source: Annotated[str, typer.Argument(help=f"{DATA_FORMS}.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; default: the data's name, .yaml.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    json_: Json = False,
    **settings: Any,
) -> None:
    """Look at your images and write a search for them.

    Image size, space, epochs and budget, chosen for the images, this machine and the time. Each
    choice is shown with its reason and the flag that changes it. cnnsearch search takes the file.
    """
    from cnnsearch.data.sources import describe_shadowed
    from cnnsearch.errors import CnnsearchError
    from cnnsearch.utils.atomic_files import write_text

    if out is not None and out.exists() and not force:
        raise CnnsearchError(f"--out {out}: already exists (--force replaces it)")
    given = {key: value for key, value in settings.items() if value is not None}
    proposal = propose_search(source, given)
    file = out or Path(f"{proposal.name}.yaml")
    if file.exists() and not force:
        raise CnnsearchError(f"{file}: already exists (--force replaces it, --out names another)")
    line = proposal.write_command(str(file), source)
    write_text(file, proposal.write_file(line))
    if json_:
        choices = [vars(each) for each in proposal.choices]
        print_json({"file": str(file), "command": line, "choices": choices})
        return
    if shadowed := describe_shadowed(source):
        print(shadowed)
    show_choices(proposal)
    print(f"Wrote {file}. Search with:\n  {line}")


def propose_search(source: str, given: Mapping[str, Any]) -> "Proposal":
    """Inspects the images and proposes a search that keeps the given settings."""
    from cnnsearch.data.inspection import describe
    from cnnsearch.engine.machine import Machine
    from cnnsearch.engine.proposal import propose
    from cnnsearch.engine.settings import Settings

    checked = Settings.create("", "", data=source, **given)
    kept = {key: value for key, value in checked.flatten().items() if key in given}
    data_dir = Path(checked.data.data_dir) if checked.data.data_dir else None
    with show_progress() as progress:
        report = describe(
            source, seed=checked.search.seed, skip_bad_images=True, data_dir=data_dir,
            max_memory=checked.data.max_memory, progress=progress,
        )  # fmt: skip
    return propose(report, Machine.read(), kept)


def show_choices(proposal: "Proposal") -> None:
    """Prints one line for each choice: its reason, and the flag that changes it."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for style in ("", "bold", ""):
        table.add_column(style=style)
    for each in proposal.choices:
        reason = f"{escape(each.reason)} [dim]({escape(each.flag)})[/]"
        table.add_row(escape(each.what), escape(each.value), reason)
    make_console().print(table, highlight=False)
