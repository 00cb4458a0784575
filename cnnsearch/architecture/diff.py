"""Two architectures side by side: their parts aligned, their differences marked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby, zip_longest
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.architecture.cost_table import Row, describe_row, find_item, group_rows, to_totals
from cnnsearch.blocks import Shape
from cnnsearch.utils.units import format_amount

if TYPE_CHECKING:
    from rich.table import Table

By = Literal["stage", "block"]
STYLES: Final[Mapping[str, str]] = MappingProxyType(
    {"=": "dim", "~": "", "<": "cyan", ">": "yellow"}
)


@dataclass(frozen=True)
class Pair:
    """Two parts that correspond to each other; None: the other network has nothing there."""

    left: Row | None
    right: Row | None

    @property
    def mark(self) -> str:
        """``=`` the same, ``~`` different, ``<`` only on the left, ``>`` only on the right."""
        if self.left is None or self.right is None:
            return "<" if self.right is None else ">"
        return "=" if self._find_essence(self.left) == self._find_essence(self.right) else "~"

    @staticmethod
    def _find_essence(row: Row) -> tuple[object, ...]:
        return row.kind, row.output, row.params_total, row.macs


def align(left: Architecture, right: Architecture, by: By) -> list[Pair]:
    """Pairs the parts of two networks: section by section, stage by stage, block by block.

    Stages are aligned by what they repeat, so that one more stage on a side shifts nothing.

    Raises:
        ArchitectureError: one of them cannot be wired.
    """
    pairs: list[Pair] = []
    sides = [_split_sections(net, by) for net in (left, right)]
    for section in ("stem", "stages", "auxiliary", "head"):
        a, b = (side.get(section, []) for side in sides)
        for one, other in _match(a, b):
            pairs += [Pair(*rows) for rows in zip_longest(one or [], other or [])]
    return pairs


def _split_sections(architecture: Architecture, by: By) -> dict[str, list[list[Row]]]:
    """The rows of each section, those of one stage together."""
    rows = group_rows(architecture, find_item if by == "stage" else lambda place: place)
    sections: dict[str, list[list[Row]]] = {}
    for item, group in groupby(rows, key=lambda row: find_item(row.place)):
        sections.setdefault(item.split(".")[0], []).append(list(group))
    return sections


def _match(
    left: list[list[Row]], right: list[list[Row]]
) -> list[tuple[list[Row] | None, list[Row] | None]]:
    """Pairs stages that repeat the same block; between those, stages one by one."""
    matcher = SequenceMatcher(None, _find_keys(left), _find_keys(right), autojunk=False)
    return [
        pair
        for _, i, j, k, n in matcher.get_opcodes()
        for pair in zip_longest(left[i:j], right[k:n])
    ]


def _find_keys(groups: list[list[Row]]) -> list[str]:
    """The word for what a group repeats: without its number, widths and strides."""
    return [re.sub(r"^\d+ x ", "", rows[0].kind).split(" ")[0] for rows in groups]


def diff_data(left: Architecture, right: Architecture, by: By) -> dict[str, Any]:
    """Returns the comparison as plain data."""
    pairs = align(left, right, by)
    return {
        "left": {"name": left.name, "input": list(left.input), **to_totals(count(left))},
        "right": {"name": right.name, "input": list(right.input), **to_totals(count(right))},
        "by": by,
        "rows": [
            {
                "mark": pair.mark,
                "left": describe_row(pair.left) if pair.left else None,
                "right": describe_row(pair.right) if pair.right else None,
            }
            for pair in pairs
        ],
    }


def diff_table(left: Architecture, right: Architecture, by: By) -> "Table":
    """Returns the parts side by side, differences highlighted."""
    from rich.table import Table

    table = Table(pad_edge=False, padding=(0, 1, 0, 0), box=None)
    table.add_column("")
    table.add_column("place", no_wrap=True)
    for net in (left, right):
        table.add_column(net.name or "network", overflow="fold", ratio=1)
        for name in ("output", "params", "MACs"):
            table.add_column(name, justify="right", no_wrap=True)
    for pair in align(left, right, by):
        row = pair.left or pair.right
        place = row.place if row else ""
        cells = [*_format_cells(pair.left), *_format_cells(pair.right)]
        table.add_row(pair.mark, place, *cells, style=STYLES[pair.mark])
    return table


def _format_cells(row: Row | None) -> list[str]:
    if row is None:
        return ["", "", "", ""]
    costs = (format_amount(n) if n else "" for n in (row.params, row.macs))
    return [row.kind, str(row.output), *costs]


def diff_lines(left: Architecture, right: Architecture) -> str:
    """Returns inputs and totals of both and the ratio of the right to the left."""
    a, b = count(left), count(right)
    names = (left.name or "left", right.name or "right")
    width = max(16, *(len(name) for name in names))
    lines = [f"{'':22} {names[0]:>{width}} {names[1]:>{width}}   ratio"]
    inputs = [f"{Shape(*net.input)}" for net in (left, right)]
    lines.append(f"{'input':22} {inputs[0]:>{width}} {inputs[1]:>{width}}")
    for key, value in to_totals(a).items():
        other = to_totals(b)[key]
        ratio = f"{other / value:7.3f}" if value else ""
        name = {"macs": "MACs", "flops": "FLOPs = 2 MACs"}.get(key, key)
        lines.append(f"{name:22} {value:>{width},} {other:>{width},} {ratio}")
    return "\n".join(lines)
