"""Places the steps of a part: layers from top to bottom, branches side by side, nothing overlaps.

Sugiyama's method, small: longest-path layers, dummies where an edge passes a layer, barycentric
order, x by weighted isotonic regression. Lengths are in inches, y grows downwards.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from cnnsearch.architecture.drawing.parts import Part
from cnnsearch.architecture.drawing.words import (
    BOX_FONT,
    SHAPE_FONT,
    SYMBOLS,
    box_text,
    text_width,
    typeset,
)

BOX, ROUND, LABEL, BEND = 0.28, 0.22, 0.2, 0.16
GAP = 0.16
PASSING = 0.12
SWEEPS = 120

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A placed step; ``x`` and ``y`` are its centre, ``shape`` is that of its output."""

    kind: str
    text: str
    shape: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Placed:
    """A part whose steps have their places, relative to the point (0, 0) where it is entered.

    Attributes:
        part: which.
        boxes: its steps.
        edges: the points each passes, from the bottom of a box to the top of another.
        left: smallest x.
        right: largest x.
        exit: the point at the bottom of the last box.
        bottom: y below the last label.
    """

    part: Part
    boxes: tuple[Box, ...]
    edges: tuple[tuple[Point, ...], ...]
    left: float
    right: float
    exit: Point
    bottom: float

    @property
    def top(self) -> float:
        """Where the first box begins."""
        return self.boxes[0].y - self.boxes[0].height / 2


@dataclass(eq=False)
class _Node:
    """A step, the entry, or a dummy where an edge passes a layer."""

    layer: int
    width: float
    height: float = 0.0
    passing: bool = False
    above: "list[_Node]" = field(default_factory=list)
    below: "list[_Node]" = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0

    def pull(self, other: "_Node") -> float:
        """Weight of keeping the edge to a node below straight: chains most, shortcuts least."""
        if self.leads_to(other):
            return 4.0
        if self.passing or other.passing:
            return 1.0 if max(len(self.below), len(other.above)) > 2 else 0.05
        return 1.0

    def leads_to(self, other: "_Node") -> bool:
        """Whether this is the only input of ``other``, and ``other`` its only successor."""
        return len(self.below) == 1 and len(other.above) == 1 and self.layer > 0


def place_part(part: Part) -> Placed:
    """Returns ``part`` with a place for each of its steps."""
    entry = _Node(0, PASSING)
    nodes = _make_nodes(part)
    chains = _link_nodes(part, nodes, entry)
    layers = _split_layers([entry, *nodes, *(node for chain in chains for node in chain[1:-1])])
    columns = _find_columns(layers)
    _order_layers(layers)
    _set_x(layers)
    _straighten(columns, layers)
    _set_y(layers)
    shift = entry.x
    boxes = tuple(
        Box(
            step.kind, box_text(step), typeset(shape), node.x - shift, node.y,
            _box_width(box_text(step), step.kind), node.height,
        )
        for step, shape, node in zip(part.steps, part.shapes, nodes, strict=True)
    )  # fmt: skip
    edges = tuple(tuple(_find_points(chain, shift)) for chain in chains)
    last = nodes[-1]
    inside = [node for layer in layers for node in layer]
    return Placed(
        part,
        boxes,
        edges,
        min(node.x - node.width / 2 for node in inside) - shift,
        max(node.x + node.width / 2 for node in inside) - shift,
        (last.x - shift, last.y + last.height / 2),
        max(node.y + node.height / 2 for node in inside) + LABEL,
    )


def _make_nodes(part: Part) -> list[_Node]:
    first = part.steps[0].number
    nodes: list[_Node] = []
    for step, shape in zip(part.steps, part.shapes, strict=True):
        inputs = [nodes[i.number - first].layer for i in step.inputs if i.number >= first]
        width = max(_box_width(box_text(step), step.kind), text_width(shape, SHAPE_FONT))
        height = ROUND if step.kind in SYMBOLS else BOX
        nodes.append(_Node(1 + max(inputs, default=0), width, height))
    return nodes


def _box_width(text: str, kind: str) -> float:
    return ROUND if kind in SYMBOLS else max(0.6, text_width(text, BOX_FONT) + 0.16)


def _link_nodes(part: Part, nodes: Sequence[_Node], entry: _Node) -> list[list[_Node]]:
    """The nodes along each edge, dummies between; neighbours are made known to each other."""
    first = part.steps[0].number
    chains: list[list[_Node]] = []
    for step, node in zip(part.steps, nodes, strict=True):
        for read in step.inputs:
            source = nodes[read.number - first] if read.number >= first else entry
            between = range(source.layer + 1, node.layer)
            chain = [source, *(_Node(n, PASSING, passing=True) for n in between), node]
            chains.append(chain)
            for upper, lower in pairwise(chain):
                upper.below.append(lower)
                lower.above.append(upper)
    return chains


def _split_layers(nodes: Sequence[_Node]) -> list[list[_Node]]:
    layers: list[list[_Node]] = [[] for _ in range(1 + max(node.layer for node in nodes))]
    for node in nodes:
        layers[node.layer].append(node)
    return layers


def _find_columns(layers: Sequence[Sequence[_Node]]) -> list[list[_Node]]:
    """Groups chains of nodes into columns; all of a column get the width of its widest."""
    columns: list[list[_Node]] = []
    for node in (node for layer in layers for node in layer):
        if not (node.above and node.above[0].leads_to(node)):
            columns.append([node])
            while columns[-1][-1].below and columns[-1][-1].leads_to(columns[-1][-1].below[0]):
                columns[-1].append(columns[-1][-1].below[0])
    for column in columns:
        width = max(node.width for node in column)
        for node in column:
            node.width = width
    return columns


def _straighten(columns: Sequence[Sequence[_Node]], layers: Sequence[Sequence[_Node]]) -> None:
    """Gives a column one x where its neighbours leave room for it."""
    beside = {
        id(node): (layer[i - 1] if i else None, layer[i + 1] if i + 1 < len(layer) else None)
        for layer in layers
        for i, node in enumerate(layer)
    }
    for column in sorted(columns, key=len, reverse=True):
        low, high = -math.inf, math.inf
        for node in column:
            left, right = beside[id(node)]
            if left:
                low = max(low, left.x + (left.width + node.width) / 2 + GAP)
            if right:
                high = min(high, right.x - (right.width + node.width) / 2 - GAP)
        if low <= high + 1e-9:
            x = min(max(fmean(node.x for node in column), low), high)
            for node in column:
                node.x = x


def _order_layers(layers: list[list[_Node]]) -> None:
    """Barycentric sweeps; the order with the fewest crossings is kept."""
    best, fewest = [list(layer) for layer in layers], _count_crossings(layers)
    for sweep in range(12):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            for i, node in enumerate(layer):
                node.x = float(i)
            place_of = {id(node): node.x for other in layers for node in other}
            layer.sort(key=lambda node, down=down: _find_centre(node, down, place_of))  # type: ignore[misc]
            for i, node in enumerate(layer):
                node.x = float(i)
        crossings = _count_crossings(layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _find_centre(node: _Node, down: bool, place_of: dict[int, float]) -> float:
    neighbours = node.above if down else node.below
    return fmean(place_of[id(n)] for n in neighbours) if neighbours else place_of[id(node)]


def _count_crossings(layers: Sequence[Sequence[_Node]]) -> int:
    total = 0
    for layer, lower in pairwise(layers):
        position = {id(node): i for i, node in enumerate(lower)}
        ends = [position[id(node)] for upper in layer for node in _from_left(upper, position)]
        total += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
    return total


def _from_left(node: _Node, position: dict[int, int]) -> list[_Node]:
    """The nodes below, from left to right."""
    return sorted(node.below, key=lambda other: position[id(other)])


def _set_x(layers: Sequence[Sequence[_Node]]) -> None:
    for layer in layers:
        _set_apart(layer, [0.0] * len(layer), [1.0] * len(layer))
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted, weights = zip(*(_find_target(node) for node in layer), strict=True)
            _set_apart(layer, wanted, weights)


def _find_target(node: _Node) -> tuple[float, float]:
    """Where a node's neighbours want it, and how much."""
    pulls = [(other.x, other.pull(node)) for other in node.above]
    pulls += [(other.x, node.pull(other)) for other in node.below]
    weight = sum(pull for _, pull in pulls)
    return (sum(x * pull for x, pull in pulls) / weight, weight) if pulls else (node.x, 1.0)


def _set_apart(layer: Sequence[_Node], wanted: Sequence[float], weights: Sequence[float]) -> None:
    """Sets x as near as can be to ``wanted``, in order and without overlaps.

    Least squares under x[i+1] >= x[i] + room: isotonic regression of what is left without the room.
    """
    offsets = [0.0]
    for a, b in pairwise(layer):
        offsets.append(offsets[-1] + (a.width + b.width) / 2 + GAP)
    pools: list[tuple[float, float, int]] = []
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        value, size = want - offset, 1
        while pools and pools[-1][0] > value:
            other, mass, count = pools.pop()
            value = (value * weight + other * mass) / (weight + mass)
            weight, size = weight + mass, size + count
        pools.append((value, weight, size))
    values = [value for value, _, size in pools for _ in range(size)]
    for node, value, offset in zip(layer, values, offsets, strict=True):
        node.x = value + offset


def _set_y(layers: Sequence[Sequence[_Node]]) -> None:
    """Layers far apart where edges go far to the side, so that curves stay readable."""
    y = 0.0
    for upper, layer in zip([[], *layers], layers, strict=False):
        reach = max((abs(a.x - n.x) for n in layer for a in n.above), default=0.0)
        height = max(node.height for node in layer)
        if upper:
            y += BEND + min(0.35, 0.16 * reach) + height / 2
        for node in layer:
            node.y = y
        y += height / 2 + (LABEL if any(node.height for node in layer) else 0.0)


def _find_points(chain: Sequence[_Node], shift: float) -> list[Point]:
    source, target = chain[0], chain[-1]
    bottom = source.y + source.height / 2
    points = [(source.x - shift, bottom)]
    points += [(source.x - shift, bottom + LABEL)] if source.height else []
    for node in chain[1:-1]:
        points += [(node.x - shift, node.y - BOX / 2), (node.x - shift, node.y + BOX / 2 + LABEL)]
    return [*points, (target.x - shift, target.y - target.height / 2)]
