"""The cost of a network by layer, by block or by stage."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import Cost, count, count_deployed
from cnnsearch.architecture.costs import FLASH, RAM
from cnnsearch.architecture.labels import describe_place
from cnnsearch.architecture.memory import count_peaks
from cnnsearch.architecture.wiring import Step, trace
from cnnsearch.blocks import Shape
from cnnsearch.utils.units import format_amount

if TYPE_CHECKING:
    from rich.table import Table

_FIXED: Final = MappingProxyType(
    {
        "rbf": "fixed prototypes",
        **dict.fromkeys(("conv", "depthwise_conv", "normalize"), "BatchNorm's moving statistics"),
    }
)
"""Parameters that are not trained, by the step that has them."""

Part = Literal["layer", "block", "stage"]


@dataclass(frozen=True)
class Row:
    """One part of a network: where it stands, what it is, its output, its cost.

    Attributes:
        then: what follows a single convolution or dense layer: bias, normalization, activation.
    """

    place: str
    kind: str
    output: Shape
    params: int
    params_total: int
    macs: int
    acts: int
    then: str = ""


def cost_rows(architecture: Architecture, by: Part) -> list[Row]:
    """Returns the cost of each part, in wiring order.

    Raises:
        ArchitectureError: the network cannot be wired; names the place and the rule.
    """
    if by == "layer":
        steps = trace(architecture)[1:]
        return [
            replace(
                _make_row(step.place, f"{step.kind} {step.detail}".strip(), [step]),
                then=step.finish,
            )
            for step in steps
        ]
    return group_rows(architecture, (lambda place: place) if by == "block" else _find_stage)


def group_rows(architecture: Architecture, name: Callable[[str], str]) -> list[Row]:
    """Returns the cost of neighbouring steps together whose places have one ``name``."""
    groups = groupby(trace(architecture)[1:], key=lambda step: name(step.place))
    return [
        _make_row(place, describe_place(architecture, place), list(group))
        for place, group in groups
    ]


def find_item(place: str) -> str:
    """The layer of the stem, or the stage, that a place belongs to: ``stages.2``, ``head``."""
    return ".".join(place.split(".")[:2])


def _find_stage(place: str) -> str:
    return "stem" if place.startswith("stem.") else find_item(place)


def _make_row(place: str, kind: str, steps: list[Step]) -> Row:
    return Row(
        place,
        kind,
        steps[-1].output,
        sum(step.params for step in steps),
        sum(step.params_total for step in steps),
        sum(step.macs for step in steps),
        sum(step.acts for step in steps),
    )


def cost_data(architecture: Architecture, by: Part) -> dict[str, Any]:
    """Returns the whole and its parts as plain data."""
    cost, deployed = count(architecture), count_deployed(architecture)
    return {
        "name": architecture.name,
        "input": list(architecture.input),
        "classes": architecture.classes,
        **to_totals(cost),
        **({} if deployed is None else {"deployed": to_totals(deployed)}),
        "peaks": count_peaks(architecture),
        "by": by,
        "rows": [describe_row(row) for row in cost_rows(architecture, by)],
    }


def to_totals(cost: Cost) -> dict[str, Any]:
    """Returns a cost as plain data, FLOPs too."""
    return {**vars(cost), "flops": cost.flops}


def describe_row(row: Row) -> dict[str, Any]:
    """Returns a row as plain data."""
    return {**vars(row), "output": list(row.output)}


def cost_table(architecture: Architecture, by: Part) -> "Table":
    """Returns the table of all parts, with the share of each in the MACs."""
    from rich.table import Table

    whole = count(architecture).macs
    title = f"{architecture.name or 'network'}: {Shape(*architecture.input)}, "
    table = Table(title=f"{title}{architecture.classes} classes", title_justify="left")
    for name in ("place", "kind"):
        table.add_column(name, overflow="fold")
    for name in ("output", "params", "MACs", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in cost_rows(architecture, by):
        share = f"{row.macs / whole:.1%}" if row.macs else ""
        costs = (f"{n:,}" if n else "" for n in (row.params, row.macs))
        kind = ", ".join(filter(None, (row.kind, row.then)))
        table.add_row(row.place, kind, str(row.output), *costs, share)
    return table


def cost_lines(architecture: Architecture) -> str:
    """Returns the totals in words."""
    cost, peaks = count(architecture), count_peaks(architecture)
    extra = "; auxiliary heads included" if architecture.auxiliary else ""
    fixed = sorted({_FIXED[s.verb] for s in trace(architecture) if s.params_total > s.params})
    total = f"with {' and '.join(fixed)}" if fixed else "all of them trainable"
    is_same = peaks["plain"] == cost.peak_activation_bytes
    published = "" if is_same else f"; as papers count: {RAM.format(peaks['plain'])}"
    lines = [
        f"params        {cost.params:>16,}  ({format_amount(cost.params)}, trainable{extra})",
        f"params_total  {cost.params_total:>16,}  ({total})",
        f"MACs          {cost.macs:>16,}  ({format_amount(cost.macs)} multiply-accumulates)",
        f"FLOPs         {cost.flops:>16,}  ({format_amount(cost.flops)}: 2 x MACs)",
        f"acts          {cost.acts:>16,}  ({format_amount(cost.acts)} outputs of convolution and "
        "dense layers)",
        f"RAM           {cost.peak_activation_bytes or 0:>16,}  "
        f"({RAM.format(cost.peak_activation_bytes)} bytes of feature maps in the int8 export"
        f"{published})",
        f"flash         {cost.flash_bytes or 0:>16,}  "
        f"({FLASH.format(cost.flash_bytes)} bytes, about the size of that file)",
    ]
    deployed = count_deployed(architecture)
    if deployed is not None:
        costs = f"{deployed.params:,} params, {deployed.macs:,} MACs"
        lines.append(f"deployed      {costs} (training branches folded, as exports do)")
    return "\n".join(lines)
