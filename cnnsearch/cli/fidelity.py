"""The command that measures whether short trials can be trusted."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnsearch.cli.common import (
    INTERRUPTED,
    RUNS,
    Json,
    MaxMacs,
    MaxParams,
    Runs,
    Space,
    app,
    console,
    print_json,
)

if TYPE_CHECKING:
    from cnnsearch.studies.fidelity import FidelityReport


@app.command()
def fidelity(
    space: Space,
    data: Annotated[
        str, typer.Option(help="As for search: digits, a folder, an archive, a table, tfds:NAME.")
    ] = "digits",
    candidates: Annotated[int, typer.Option(help="How many to draw at random.")] = 30,
    short: Annotated[
        str | None, typer.Option(help="Epochs of short trainings, 4 or 2,4,8; default: a search's.")
    ] = None,
    long: Annotated[
        int | None, typer.Option(help="Epochs of long trainings; default: 4 times the short.")
    ] = None,
    lever: Annotated[
        list[str] | None,
        typer.Option(help="Short trainings changed as well: ema=0.9, or image=16,epochs=6."),
    ] = None,
    train_share: Annotated[
        float, typer.Option("--train-share", help="Short trainings learn from this share of train.")
    ] = 1.0,
    image: Annotated[
        str | None, typer.Option(help="The size short trainings read; default: the space's.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A key of the recipe for all trainings: batch_size=128."),
    ] = None,
    repeat: Annotated[
        int, typer.Option(help="Train so many candidates long twice: the noise of seeds.")
    ] = 0,
    max_params: MaxParams = None,
    max_macs: MaxMacs = None,
    seed: Annotated[int, typer.Option(help="Same seed, same candidates.")] = 0,
    name: Annotated[
        str | None, typer.Option(help="Of the run; the same name again goes on with it.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Where the picture goes (PNG); default: the run's folder.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Trained side by side; 0: in this process.")] = 1,
    trial_timeout: Annotated[
        str | None, typer.Option("--trial-timeout", help="Give a training up after so long.")
    ] = None,
    skip_bad_images: Annotated[
        bool, typer.Option("--skip-bad-images", help="Leave unreadable images out and say which.")
    ] = False,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", help="Where TensorFlow Datasets keeps its data.")
    ] = None,
    mlflow_uri: Annotated[
        str | None, typer.Option("--mlflow-uri", help="Another MLflow store than runs/mlflow.db.")
    ] = None,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Measure whether short trials rank candidates as long ones do.

    Read it before spending a search's budget. Another --short or --lever under the same --name is
    measured against the long trainings that are there.
    """
    from cnnsearch.studies.fidelity import fidelity as measure
    from cnnsearch.studies.fidelity.study import read_recipe
    from cnnsearch.studies.fidelity.summary import ProgressLines

    report = measure(
        space,
        data,
        candidates=candidates,
        short=None if short is None else _epochs(short),
        long=long,
        levers=lever or (),
        train_share=train_share,
        image=image,
        recipe=read_recipe(set_ or ()),
        repeat=repeat,
        max_params=max_params,
        max_macs=max_macs,
        seed=seed,
        name=name,
        plot=plot,
        workers=workers,
        trial_timeout=trial_timeout,
        skip_bad_images=skip_bad_images,
        data_dir=data_dir,
        mlflow_uri=mlflow_uri,
        runs=runs,
        watcher=None if json_ else ProgressLines(),
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
        print("Interrupted: the same command with --name goes on.")
    if not report.comparisons:
        return
    print()
    console().print(make_table(report))
    for line in explain_report(report):
        print(line)
    print(f"Picture: {report.plot}")
