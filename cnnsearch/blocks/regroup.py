"""Layers that regroup channels; they have no weights."""

from typing import Annotated, Literal

from pydantic import Field

from cnnsearch.blocks.node import Layer, Positive
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.errors import ArchitectureError


class ChannelSplit(Layer):
    """Some of the equal parts that the channels are split into (ShuffleNet v2, arXiv:1807.11164).

    Attributes:
        parts: how many there are.
        take: the parts that go on, counted from 0.
    """

    type: Literal["channel_split"] = "channel_split"
    parts: Annotated[int, Field(ge=1, le=4096)] = 2
    take: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)

    def wire(self, op: Ops[T], x: T) -> T:
        if max(self.take) >= self.parts:
            raise ArchitectureError(f"there is no part {max(self.take)} of {self.parts}")
        size = _divide(op.shape(x).c, self.parts, "parts")
        return op.select(x, [part * size + i for part in self.take for i in range(size)])


class ChannelShuffle(Layer):
    """Takes one channel of each group in turn (ShuffleNet, arXiv:1707.01083, fig. 1).

    Attributes:
        groups: how many groups the channels are in.
    """

    type: Literal["channel_shuffle"] = "channel_shuffle"
    groups: Positive = 2

    def wire(self, op: Ops[T], x: T) -> T:
        return wire_shuffle(op, x, self.groups)


def wire_shuffle(op: Ops[T], x: T, groups: int) -> T:
    """Wires a transposition of (groups, channels a group)."""
    size = _divide(op.shape(x).c, groups, "groups")
    return op.select(x, [group * size + i for i in range(size) for group in range(groups)])


def _divide(channels: int, parts: int, name: str) -> int:
    if channels % parts:
        raise ArchitectureError(f"{parts} {name} do not divide {channels} channels")
    return channels // parts
