"""The command that measures whether short trials can be trusted."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnsearch.cli.common import (
    INTERRUPTED,
    RUNS,
    DataCommand,
    Json,
    Name,
    Runs,
    Space,
    command,
    make_console,
    print_json,
)
from cnnsearch.cli.options import BUDGETS, add_settings

if TYPE_CHECKING:
    from cnnsearch.studies.fidelity import FidelityReport


@command(
    "cnnsearch fidelity residual --candidates 30 --short 4",
    "cnnsearch fidelity residual --short 2,4,8 --name trust",
    cls=DataCommand,
)
@add_settings(
    ["data", "train_share", "image", *BUDGETS, "seed", "workers",
     "trial_timeout", "skip_bad_images", "data_dir", "mlflow_uri"],
    train_share="Share of the training split that short trainings learn from.",
    image="Image size of short trainings; default: the space's.",
    workers="Trainings in parallel; 0: in this process; default: 1.",
    trial_timeout="Stop a training that takes longer: 30m.",
)  # fmt: skip
def fidelity(
    space: Space,
    candidates: Annotated[int, typer.Option(help="Random candidates to train.")] = 30,
    short: Annotated[
        str | None, typer.Option(help="Proxy budget in epochs, 4 or 2,4,8; default: a search's.")
    ] = None,
    long: Annotated[
        int | None, typer.Option(help="Full budget in epochs; default: 4 times the proxy's.")
    ] = None,
    lever: Annotated[
        list[str] | None,
        typer.Option(help="Change short trainings as well: ema=0.9, or image=16,epochs=6."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a key of every recipe: batch_size=128."),
    ] = None,
    repeat: Annotated[
        int, typer.Option(help="Train this many candidates long twice, for the noise of seeds.")
    ] = 0,
    name: Name = None,
    plot: Annotated[
        Path | None, typer.Option(help="File of the plot (PNG); default: in the run's folder.")
    ] = None,
    runs: Runs = RUNS,
    json_: Json = False,
    **settings: Any,
) -> None:
    """Measure whether short trials rank as long ones do.

    Run it before spending a search's budget. Another --short or --lever under the same --name is
    compared with the long trainings that exist.
    """
    from cnnsearch.studies.fidelity import fidelity as measure
    from cnnsearch.studies.fidelity.study import read_recipe
    from cnnsearch.studies.fidelity.summary import ProgressLines

    report = measure(
        space,
        candidates=candidates,
        short=None if short is None else _epochs(short),
        long=long,
        levers=lever or (),
        recipe=read_recipe(set_ or ()),
        repeat=repeat,
        name=name,
        plot=plot,
        runs=runs,
        callback=None if json_ else ProgressLines(),
        **{**settings, "workers": 1 if settings["workers"] is None else settings["workers"]},
    )
    if json_:
        print_json(report.to_data())
    else:
        _show(report)
    if report.reason == "interrupted":
        sys.exit(INTERRUPTED)


def _epochs(text: str) -> list[int]:
    from cnnsearch.errors import CnnsearchError

    if not re.fullmatch(r"\s*\d+(\s*,\s*\d+)*\s*", text):
        raise CnnsearchError(f"--short: expected epochs such as 4 or 2,4,8, got {text!r}")
    return [int(number) for number in text.split(",")]


def _show(report: "FidelityReport") -> None:
    from cnnsearch.studies.fidelity.summary import explain_report, make_table

    if report.reason == "interrupted":
        print("Interrupted: the same command with --name resumes it.")
    if not report.comparisons:
        return
    print()
    make_console().print(make_table(report))
    for line in explain_report(report):
        print(line)
    print(f"Picture: {report.plot}")
