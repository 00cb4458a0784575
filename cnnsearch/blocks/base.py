"""The base class of blocks, and those of layers: frozen data, wired against ``Ops``."""

from typing import ClassVar, Self

from pydantic import field_validator

from cnnsearch.blocks.attention import AnyAttention, Place, wire_squeeze_excite
from cnnsearch.blocks.node import Layer, Node, Rounding, round_down, round_width
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.errors import ArchitectureError

__all__ = ["Block", "Layer", "Node", "Rounding", "require_width", "round_width"]


class Block(Node):
    """The repeated unit of a stage; the stage gives its width and stride.

    Attributes:
        family: groups results.
        preactivation: its output is not yet normalized and activated; the architecture does that
            where a run of such stages ends.
        pools_itself: ``stride`` is the block's own business, whatever the stage's ``downsample``.
        attention_places: where the block calls :meth:`attend`, its paper's place first; if nowhere,
            the gate follows the block.
        attention: a gate over its channels; None: none, or the one of its ``squeeze_ratio``.
    """

    family: ClassVar[str]
    preactivation: ClassVar[bool] = False
    pools_itself: ClassVar[bool] = False
    attention_places: ClassVar[tuple[Place, ...]] = ()

    attention: AnyAttention | None = None

    @field_validator("attention")
    @classmethod
    def _check_place(cls, value: AnyAttention | None) -> AnyAttention | None:
        places = cls.attention_places or ("end",)
        if value is not None and value.position not in (None, *places):
            words = f"{cls.model_fields['type'].default!r} blocks have only {places[0]!r}"
            raise ValueError(f"position {value.position!r}: {words}")
        return value

    def find_unused(self) -> tuple[str, ...]:
        """Returns the fields without effect beside the others; ``width`` is the stage's."""
        gated = self.attention is not None and self.attention_places
        return ("squeeze_ratio",) if gated and "squeeze_ratio" in type(self).model_fields else ()

    def explain_unused(self, name: str) -> str:
        """Returns what of the block takes the effect from a field of :meth:`find_unused`."""
        is_replaced = name == "squeeze_ratio" and self.attention is not None
        return "whose attention takes its place" if is_replaced else "as given here"

    def attend(self, op: Ops[T], y: T, place: Place, x: T, squeeze: float = 0.0) -> T:
        """Wires the gate, if its place is this one.

        Args:
            op: the interpreter.
            y: the map to be gated.
            place: where in the block this is.
            x: the block's input.
            squeeze: channels inside the gate that stands here if ``attention`` is None; 0: none.
        """
        if self.attention is None:
            return wire_squeeze_excite(op, y, round_down(squeeze)) if squeeze else y
        if place != (self.attention.position or self.attention_places[0]):
            return y
        return self.attention.wire_in_block(op, y, op.shape(x).c)

    def wire_whole(self, op: Ops[T], x: T, previous: T | None, width: int | None, stride: int) -> T:
        """Wires the block as :meth:`wire_pair` does, and a gate it has no place for behind it."""
        y = self.wire_pair(op, x, previous, width, stride)
        if self.attention is None or self.attention_places:
            return y
        return self.attention.wire_in_block(op, y, op.shape(x).c)

    def fit_width(self, width: int) -> int:
        """Returns the nearest width that a stage of this block can have."""
        return width

    def scale_width(self, width: int, scale: Rounding) -> int:
        """Returns the width of a stage of this block, scaled to one that the stage can have."""
        return scale(width)

    @property
    def keeps_previous(self) -> bool:
        """Whether the next block's second input is this block's, rather than its first."""
        return False

    def fold(self) -> Self:
        """Returns the block as it is deployed: the same function with branches made one layer."""
        return self

    def wire_pair(self, op: Ops[T], x: T, previous: T | None, width: int | None, stride: int) -> T:
        """Wires one block that may also read the input of the block before it.

        Arguments and errors are those of :meth:`wire`; ``previous`` is None behind a single layer.
        """
        return self.wire(op, x, width, stride)

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        """Wires one block.

        Args:
            op: the interpreter.
            x: the input map.
            width: channels of the output; None where the block does not use it.
            stride: 1, or the factor by which height and width shrink.

        Raises:
            ArchitectureError: the block needs a width, or cannot be wired behind ``x``.
        """
        raise NotImplementedError


def require_width(block: Block, width: int | None) -> int:
    """Returns ``width``, or explains that this block's stage has to name one."""
    if width is None:
        raise ArchitectureError(f"a stage of {block.type!r} blocks needs a width")
    return width
