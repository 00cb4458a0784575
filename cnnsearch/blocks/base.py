"""Base classes of blocks and layers: frozen data with a ``type``, wired against ``Ops``."""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from cnnsearch.blocks.ops import Ops, T
from cnnsearch.errors import ArchitectureError


class Node(BaseModel):
    """Frozen data that keeps its ``type`` and drops what equals the default when written out.

    Attributes:
        width_fields: fields that hold numbers of channels, or layers that do.
    """

    width_fields: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
    type: str

    @model_serializer(mode="wrap")
    def _with_type(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"type": self.type, **handler(self)}

    def scale_widths(self, width: "Rounding") -> Self:
        """Returns the same node with every width of its own passed through ``width``."""
        changes = {name: _scale(getattr(self, name), width) for name in self.width_fields}
        return self.model_copy(update=changes) if changes else self


def _scale(value: Any, width: "Rounding") -> Any:
    """Scales a width, a tuple of widths or nodes; None and 0 stay."""
    if isinstance(value, tuple):
        return tuple(_scale(item, width) for item in value)
    if isinstance(value, Node):
        return value.scale_widths(width)
    return width(value) if value else value


class Rounding:
    """A width multiplier with the rounding rule of the network it comes from.

    Args:
        multiplier: what each number of channels is multiplied by.
        divisor: results are multiples of it, and never lose more than a tenth
            (MobileNet v2, arXiv:1801.04381; EfficientNet, arXiv:1905.11946).
    """

    def __init__(self, multiplier: float, divisor: int = 8) -> None:
        self.multiplier = multiplier
        self.divisor = divisor

    def __call__(self, channels: int) -> int:
        """Returns the scaled number of channels; unchanged where the multiplier is 1."""
        if self.multiplier == 1.0:
            return channels
        exact = channels * self.multiplier
        rounded = max(self.divisor, int(exact + self.divisor / 2) // self.divisor * self.divisor)
        return rounded + self.divisor if rounded < 0.9 * exact else rounded


class Layer(Node):
    """One step of a stem or head, with its own widths and strides."""

    def wire(self, op: Ops[T], x: T) -> T:
        """Wires the layer behind ``x`` and returns its output."""
        raise NotImplementedError


class Block(Node):
    """The repeated unit of a stage; the stage gives its width and stride.

    Attributes:
        family: groups results.
        preactivation: its output is not yet normalized and activated; the architecture does that
            where a run of such stages ends.
        pools_itself: ``stride`` is the block's own business, whatever the stage's ``downsample``.
    """

    family: ClassVar[str]
    preactivation: ClassVar[bool] = False
    pools_itself: ClassVar[bool] = False

    def find_unused(self) -> tuple[str, ...]:
        """Returns the fields without effect beside the others; ``width`` is the stage's."""
        return ()

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
