"""Cuts the graph of a network into the parts a picture shows, repeated blocks once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.labels import describe_place
from cnnsearch.architecture.wiring import Step, trace
from cnnsearch.blocks import Shape
from cnnsearch.utils.units import format_amount


@dataclass(frozen=True)
class Part:
    """A piece of a network with one way in and one way out.

    Attributes:
        name: its place, or its places: ``stages.1.1-5``.
        title: what it is.
        cost: what it costs, all its repetitions together.
        repeats: how many blocks in a row look like this.
        steps: of the first of them.
        shapes: the output of each step; of repetitions ``56x56x96...256``.
        entry: the step outside that it reads.
        framed: whether it is drawn with a frame and its title.
    """

    name: str
    title: str
    cost: str
    repeats: int
    steps: tuple[Step, ...]
    shapes: tuple[str, ...]
    entry: Step | None
    framed: bool

    @property
    def header(self) -> float:
        """Height of the title, in inches."""
        return (
            0.09 + 0.135 * sum(map(bool, (self.name, self.title, self.cost)))
            if self.framed
            else 0.0
        )


def split_parts(architecture: Architecture) -> list[Part]:
    """Returns the parts of a network in wiring order, the image first, auxiliary heads last.

    Raises:
        ArchitectureError: it cannot be wired.
    """
    steps = trace(architecture)
    blocks = [list(group) for _, group in groupby(steps, key=lambda step: _find_block(step.place))]
    found: list[Part] = []
    for _, alike in groupby(blocks, key=_find_signature):
        copies = list(alike)
        found.append(_make_part(architecture, copies))
    return sorted(found, key=lambda part: part.name.startswith("auxiliary"))


def _find_block(place: str) -> str:
    """Stem and heads are one part each; elsewhere every block is."""
    return "stem" if place.startswith("stem.") else place


def _find_signature(block: Sequence[Step]) -> tuple[object, ...]:
    """What repetitions have in common: the stage, and every step but for its channels."""
    first = block[0].number
    stage = ".".join(block[0].place.split(".")[:2])
    wired = [
        (
            step.kind,
            step.detail,
            step.output[:2],
            tuple(max(-1, i.number - first) for i in step.inputs),
        )
        for step in block
    ]
    return (stage, *wired)


def _make_part(architecture: Architecture, copies: Sequence[Sequence[Step]]) -> Part:
    block = copies[0]
    first, last = block[0].place, copies[-1][0].place
    name = _find_block(first) + (f"-{last.rsplit('.', 1)[1]}" if len(copies) > 1 else "")
    everything = [step for copy in copies for step in copy]
    params, macs = (sum(getattr(s, key) for s in everything) for key in ("params", "macs"))
    is_block = first.startswith("stages.") and first.count(".") == 2 and not first.endswith(".end")
    return Part(
        name=name,
        title=_make_title(architecture, first) + _name_second_input(block, len(copies)),
        cost=f"{format_amount(params)} params, {format_amount(macs)} MACs" if params else "",
        repeats=len(copies),
        steps=tuple(block),
        shapes=tuple(
            _format_shapes([copy[i].output for copy in copies]) for i in range(len(block))
        ),
        entry=_find_entry(block),
        framed=is_block or len(block) > 1,
    )


def _make_title(architecture: Architecture, place: str) -> str:
    part, _, number = place.partition(".")
    if part == "auxiliary":
        return f"reads stages.{architecture.auxiliary[int(number)].after}, for training only"
    return describe_place(architecture, place) if part == "stages" else ""


def _name_second_input(block: Sequence[Step], copies: int) -> str:
    """Names what a cell reads beside its entry, which the picture does not lead to it."""
    others = _list_outside(block)[:-1]
    if not others:
        return ""
    place = _find_block(others[0].place)
    return f", also reads {place if copies == 1 else 'the input of the block before'}"


def _find_entry(block: Sequence[Step]) -> Step | None:
    outside = _list_outside(block)
    return outside[-1] if outside else None


def _list_outside(block: Sequence[Step]) -> list[Step]:
    """The steps outside that a block reads, the latest last."""
    outside = {i.number: i for step in block for i in step.inputs if i.number < block[0].number}
    return [outside[number] for number in sorted(outside)]


def _format_shapes(outputs: Sequence[Shape]) -> str:
    first, last = outputs[0], outputs[-1]
    return str(first) if first == last else f"{first}...{last.c}"
