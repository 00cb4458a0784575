"""Finds the values under which a space is wired as a given network, part after part."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.linear_widths import LinearWidths, fit_line
from cnnsearch.architecture.stages import Stage
from cnnsearch.architecture.wiring import RecordingOps, Step, identify
from cnnsearch.blocks.ops import Ops, Shape, Style
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.choices import Constant, Items, Keys, Node, Parameter, Value, list_active
from cnnsearch.space.search_space import SearchSpace

MOST_POINTS = 5000
"""Combinations of the values of one part; a part with more is given up."""
MOST_WIRED = 50_000
"""Parts that are wired before the search is given up."""

Values = dict[str, Value]
Ranges = dict[str, tuple[float, float]]


class Mismatch(Exception):
    """A step is not the network's."""


class MatchingOps(RecordingOps):
    """Continues the wiring of a network as long as each step is the network's own.

    Args:
        style: of what is wired.
        steps: the network's.
        wanted: what identifies each of them.
        reached: how many of them are wired already.
    """

    def __init__(
        self, style: Style, steps: Sequence[Step], wanted: Sequence[object], reached: int
    ) -> None:
        super().__init__(style, steps[0].output)
        self.steps = list(steps[:reached])
        self._wanted = wanted

    def _record(self, verb: str, *arguments: Any, **named: Any) -> Step:
        number = len(self.steps)
        step = super()._record(verb, *arguments, **named)
        if number == len(self.steps):
            return step
        if number == len(self._wanted) or identify(step) != self._wanted[number]:
            raise Mismatch
        return step


class Position(NamedTuple):
    """The number of the last map, that of the last block's input, how many steps are wired."""

    x: int
    previous: int | None
    reached: int


class Part(NamedTuple):
    """The stem, a stage or the head of a space, and the hyperparameters below it."""

    key: str
    node: Node
    parameters: tuple[Parameter, ...]


class Piece(NamedTuple):
    """A part that was read: an architecture that has only this part, and its JSON.

    ``stages`` is how many stages are wired. A preactivated stage is read twice, alone and followed
    by a stage of its kind, because only the last stage of a run ends with an activation.
    """

    key: str
    text: str
    architecture: Architecture
    stages: int


@dataclass
class _Network:
    """The network that is looked for, and what is known of pieces tried in it."""

    architecture: Architecture
    steps: Sequence[Step]
    wanted: Sequence[object]
    ends: dict[tuple[str, int, Position], Position | None] = field(default_factory=dict)
    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    lines: dict[str, LinearWidths | None] = field(default_factory=dict)

    def read(self, key: str, data: Any, style: Any) -> list[Piece]:
        """Returns the pieces that a part's data may stand for; none if it breaks a rule."""
        network = self.architecture
        content = data if key == "head" or isinstance(data, list) else [data]
        fixed = {"input": network.input, "classes": network.classes, "style": style}
        text = json.dumps({**fixed, key: content})
        if text not in self.pieces:
            try:
                read = Architecture.from_data({**fixed, key: content})
                self.pieces[text] = list(_list_endings(Piece(key, text, read, len(read.stages))))
            except CnnsearchError:
                self.pieces[text] = []
        return self.pieces[text]

    def find_end(self, piece: Piece, start: Position) -> Position | None:
        """Returns where a piece ends that is wired from ``start`` on; None if it does not fit."""
        key = (piece.text, len(piece.architecture.stages), start)
        if key not in self.ends:
            self.ends[key] = self._wire(piece, start) if len(self.ends) < MOST_WIRED else None
        return self.ends[key]

    def _wire(self, piece: Piece, start: Position) -> Position | None:
        op = MatchingOps(piece.architecture.style, self.steps, self.wanted, start.reached)
        previous = None if start.previous is None else self.steps[start.previous]
        try:
            x, before = _wire_piece(piece, cast(Ops[Step], op), self.steps[start.x], previous)
        except (Mismatch, CnnsearchError):
            return None
        return Position(x.number, before.number if before else None, len(op.steps))

    def fit_line(self, data: dict[str, Any], ranges: Ranges) -> LinearWidths | None:
        """Returns the line through the widths of all blocks that linear stages would have."""
        stages = [item for item in self.architecture.stages if isinstance(item, Stage)]
        widths = [stage.width or 0 for stage in stages for _ in range(stage.depth)]
        initial, block = data["widths"]["initial"], data["block"]
        key = json.dumps([initial, block])
        pieces = self.read("stages", {"block": block}, {})
        if len(widths) != data["depth"] or 0 in widths or not pieces:
            return None
        if key not in self.lines:
            stage = pieces[0].architecture.stages[0]
            fit_width = stage.block.fit_width if isinstance(stage, Stage) else int
            self.lines[key] = fit_line(widths, initial, ranges, fit_width)
        return self.lines[key]


def _list_endings(piece: Piece) -> Iterator[Piece]:
    yield piece
    stages = piece.architecture.stages
    if stages and isinstance(stages[-1], Stage) and stages[-1].block.preactivation:
        followed = piece.architecture.model_copy(update={"stages": (*stages, stages[-1])})
        yield piece._replace(architecture=followed)


def _wire_piece(
    piece: Piece, op: Ops[Step], x: Step, previous: Step | None
) -> tuple[Step, Step | None]:
    """Returns the output, and the input of the last block."""
    network = piece.architecture
    if piece.key == "head":
        return network.head.wire(op, x, network.classes), None
    for layer in network.stem:
        x = layer.wire(op, x)
    for i, item in enumerate(network.stages[: piece.stages]):
        x, previous = network.wire_stage(op, x, previous, i, item, 0)
    return x, previous


@dataclass
class _Attempt:
    """The search under one choice of the variables and the style."""

    network: _Network
    parts: Sequence[Part]
    fixed: Values
    variables: dict[str, Any]
    style: Any
    _options: dict[int, list[tuple[Values, Piece]]] = field(default_factory=dict)
    _dead: set[tuple[int, Position]] = field(default_factory=set)

    def descend(self, number: int, start: Position) -> Values | None:
        """Returns the values of all parts from ``number`` on, wired from ``start`` on."""
        if number == len(self.parts):
            return self.fixed if start.reached == len(self.network.steps) else None
        if (number, start) in self._dead:
            return None
        if number not in self._options:
            self._options[number] = list(self._list_options(self.parts[number]))
        for values, piece in self._options[number]:
            end = self.network.find_end(piece, start)
            found = self.descend(number + 1, end) if end else None
            if found is not None:
                return {**values, **found}
        self._dead.add((number, start))
        return None

    def _list_options(self, part: Part) -> Iterator[tuple[Values, Piece]]:
        for values in _list_points(part.parameters, self.fixed):
            data = part.node.decode(values, self.variables)
            if isinstance(data, dict) and "widths" in data:
                values = self._draw_line(part, data, values)
                data = part.node.decode(values, self.variables)
            for piece in self.network.read(part.key, data, self.style):
                yield values, piece

    def _draw_line(self, part: Part, data: dict[str, Any], values: Values) -> Values:
        """Returns the values with the slope and the multiplier that give the network's widths."""
        keys = {
            p.name: p.name.rpartition(".")[2]
            for p in part.parameters
            if ".widths." in p.name and p.kind == "float"
        }
        ranges = {key: (data["widths"][key],) * 2 for key in ("slope", "multiplier")}
        ranges |= {keys[p.name]: (p.low, p.high) for p in part.parameters if p.name in keys}
        line = self.network.fit_line(data, ranges)
        return (
            {**values, **{name: getattr(line, key) for name, key in keys.items()}}
            if line
            else values
        )


def unify(network: Architecture, space: SearchSpace) -> Values | None:
    """Returns the values of a candidate that is wired as ``network``, or None if none was found.

    Stem, stages and head are wired in turn, each with all its values, from where those before it
    end, so that a network is found however it is written. ``drop_path`` and auxiliary heads are
    left out.

    Raises:
        ArchitectureError: the network cannot be wired.
    """
    body = space.architecture_node
    if not isinstance(body, Keys):
        return None
    nodes = dict(body.nodes)
    wanted, parts = _record(network), _list_parts(space, nodes)
    own = [p for p in space.parameters if p.name.partition(".")[0] in ("variables", "style")]
    for fixed in _list_points(own, {}):
        variables: dict[str, Any] = {}
        for name, node in space.variable_nodes:
            variables[name] = node.decode(fixed, variables)
        style = nodes.get("style", Constant({})).decode(fixed, variables)
        found = _Attempt(wanted, parts, fixed, variables, style).descend(0, Position(0, None, 1))
        if found is not None:
            return found
    return None


def _record(network: Architecture) -> _Network:
    op = RecordingOps(network.style, Shape(*network.input))
    plain = network.model_copy(update={"drop_path": 0.0})
    plain.wire(cast(Ops[Step], op), op.input, auxiliary=False)
    return _Network(network, op.steps, [identify(step) for step in op.steps])


def _list_parts(space: SearchSpace, nodes: dict[str, Node]) -> list[Part]:
    """Returns the stem, each stage and the head of a space."""
    stages = nodes.get("stages", Constant([]))
    places = {"stem": nodes.get("stem", Constant([]))}
    if isinstance(stages, Items):
        places |= {f"stages.{i}": node for i, node in enumerate(stages.nodes)}
    else:
        places["stages"] = stages
    places["head"] = nodes.get("head", Constant({}))
    return [
        Part(
            place.partition(".")[0],
            node,
            tuple(p for p in space.parameters if f"{p.name}.".startswith(f"{place}.")),
        )
        for place, node in places.items()
    ]


def _list_points(parameters: Sequence[Parameter], fixed: Values) -> list[Values]:
    """Returns every combination of values; none if there are too many."""
    points = [fixed]
    for parameter in parameters:
        points = [more for values in points for more in _extend(parameter, values)]
        if len(points) > MOST_POINTS:
            return []
    return points


def _extend(parameter: Parameter, values: Values) -> list[Values]:
    if not list(list_active([parameter], values)):
        return [values]
    return [{**values, parameter.name: value} for value in parameter.list_values()]
