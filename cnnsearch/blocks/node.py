"""Frozen data with a ``type``, the types of its numbers, and how widths are scaled and rounded."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from cnnsearch.blocks.ops import Ops, T

Positive = Annotated[int, Field(gt=0, le=1_000_000)]
_Side = Annotated[int, Field(gt=0, le=64)]
KernelSize = _Side | tuple[_Side, _Side]
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Expansion = Annotated[int, Field(gt=0, le=1_000_000)] | Annotated[float, Field(gt=0.0, le=64.0)]
"""A multiple of a width; a whole number stays one, so that files keep their form."""


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
        return round_width(channels * self.multiplier, self.divisor)


def round_width(exact: float, divisor: int = 1) -> int:
    """Returns the multiple of ``divisor`` nearest to ``exact``, or above it rather than lose 10 %.

    MobileNet v2's rule (arXiv:1801.04381).
    """
    rounded = max(divisor, int(exact + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * exact else rounded


def round_down(exact: float) -> int:
    """Returns the whole number below ``exact``, at least 1.

    What is less than 0.001 below a whole number becomes that number: a ratio of 1/12 is written
    with so many digits and no more.
    """
    return max(1, int(exact + 1e-3))


class Layer(Node):
    """One step of a stem or head, with its own widths and strides."""

    def wire(self, op: Ops[T], x: T) -> T:
        """Wires the layer behind ``x`` and returns its output."""
        raise NotImplementedError
