"""The command that measures latency."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnsearch.cli.architectures import Image, find_network
from cnnsearch.cli.common import RUNS, Json, Runs, command, make_console, print_json
from cnnsearch.cli.completion import complete_network_or_run
from cnnsearch.training.measure_latency import SECONDS

if TYPE_CHECKING:
    from cnnsearch.architecture.architecture import Architecture


@command(
    "cnnsearch latency resnet-20-cifar mobilenet-v2 --quantize float32,int8",
    "cnnsearch latency first:007 --format litert,onnx --threads 2",
    "cnnsearch latency residual --samples 30 --export device/",
)
def latency(
    networks: Annotated[
        list[str],
        typer.Argument(
            help="Published networks, files, RUN:TRIAL, RUN (best), or spaces (see --samples).",
            metavar="NETWORK...",
            autocompletion=complete_network_or_run,
        ),
    ],
    format_: Annotated[
        str, typer.Option("--format", help="litert, onnx, or both with a comma.")
    ] = "litert",
    quantize: Annotated[
        str | None,
        typer.Option(help="float32, float16, dynamic or int8 (with commas); default: float32."),
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of the runtime.", min=1)] = 1,
    seconds: Annotated[
        float, typer.Option(help="Longest measurement of a network, in seconds.", min=0.1)
    ] = SECONDS,
    samples: Annotated[
        int, typer.Option(help="Random candidates of a space with choices.", min=1)
    ] = 30,
    seed: Annotated[int, typer.Option(help="Of these candidates.")] = 0,
    image: Image = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Do not measure: write files and script for another device here."),
    ] = None,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Measure the latency of networks on this machine.

    Of one image: the median of as many calls as it takes until its 95 % interval is narrower than
    5 %. Weights are random: they do not change the latency. Training branches are folded, as
    exports do.
    """
    from cnnsearch.exporters import latency as exporters

    targets = exporters.choose_targets(format_, quantize)
    found = dict(_list_networks(networks, runs, image, samples, seed))
    if export is not None:
        exporters.export_for_device(found, targets, export, _report)
        if not json_:
            print(exporters.explain_export(export))
        return
    rows = exporters.measure_networks(
        found, targets, threads=threads, seconds=seconds, progress=_report
    )
    if json_:
        print_json(rows)
    else:
        _show(rows, threads)


def _report(line: str) -> None:
    print(f"{line} ...", file=sys.stderr)


def _list_networks(
    names: Sequence[str], runs: Path, image: str | None, samples: int, seed: int
) -> Iterator[tuple[str, "Architecture"]]:
    """Yields the networks by name, of a space with choices random candidates."""
    from cnnsearch.runs.lookup import is_space
    from cnnsearch.space.sampling import sample_architectures
    from cnnsearch.space.search_space import SearchSpace
    from cnnsearch.utils.units import parse_image

    size = parse_image(image) if image else None
    for name in names:
        space = SearchSpace.load(name) if is_space(name) else None
        if space is None or not space.parameters:
            yield name, find_network(name, runs, image)
            continue
        fitted = space.adapt(image=size) if size else space
        drawn = enumerate(sample_architectures(fitted, samples, seed), start=1)
        yield from ((f"{space.name}-{number:03}", each) for number, each in drawn)


def _show(rows: Sequence[dict[str, Any]], threads: int) -> None:
    from rich.table import Table

    from cnnsearch.exporters.formats import find_format
    from cnnsearch.utils.environment import describe_device
    from cnnsearch.utils.units import format_milliseconds, pluralize

    table = Table(
        title=f"Latency of one image on {describe_device()}, {pluralize(threads, 'thread')}",
        title_justify="left",
    )
    table.add_column("network")
    table.add_column("runtime")
    for name in ("latency", "95 % interval", "calls"):
        table.add_column(name, justify="right")
    for row in rows:
        low, high = (format_milliseconds(row[key]) for key in ("low_ms", "high_ms"))
        table.add_row(
            row["network"],
            find_format(row["format"]).label(row["quantize"]),
            format_milliseconds(row["latency_ms"]),
            f"{low} to {high}",
            str(row["calls"]),
            style=None if row["precise"] else "yellow",
        )
    make_console().print(table, highlight=False)
    wide = sum(not row["precise"] for row in rows)
    if wide:
        print(
            f"Of {wide} of {len(rows)} the median is not known to 5 %: the interval is still wider"
            " when the time is up. Other programs on this machine disturb it (see --seconds)."
        )
