"""Wiring shared by several block families."""

from typing import Annotated, Literal

from pydantic import Field

from cnnsearch.blocks.geometry import get_sides
from cnnsearch.blocks.ops import Kernel, Ops, Padding, T

ShortcutKind = Literal["projection", "pad", "pool"]
Ratio = Annotated[float, Field(gt=0.0, le=4.0)]
SqueezeRatio = Annotated[float, Field(ge=0.0, le=4.0)]


def wire_shortcut(
    op: Ops[T], x: T, width: int, stride: int, kind: ShortcutKind = "projection"
) -> T:
    """Wires the shortcut of a residual unit (He et al., arXiv:1512.03385, section 4.1).

    Args:
        op: the interpreter.
        x: the unit's input.
        width: channels at the unit's end.
        stride: the unit's stride.
        kind: ``projection`` is option B (1x1 convolution where the shape changes), ``pad`` option A
            (subsampling and zero channels, no weights), ``pool`` averages before it projects
            (ResNet-D, He et al., arXiv:1812.01187).
    """
    if stride == 1 and op.shape(x).c == width:
        return x
    if kind == "projection":
        return op.conv(x, width, 1, stride, activation=False)
    if kind == "pool":
        y = op.pool(x, "avg", stride, stride) if stride > 1 else x
        return op.conv(y, width, 1, activation=False)
    y = op.pool(x, "avg", 1, stride, "valid") if stride > 1 else x
    return op.pad_channels(y, width)


def wire_preactivated(op: Ops[T], x: T, filters: int, kernel: Kernel = 3, stride: int = 1) -> T:
    """Normalization, activation, convolution (He et al., arXiv:1603.05027)."""
    y = op.activate(op.normalize(x))
    return op.conv(y, filters, kernel, stride, norm=False, activation=False)


def centre_padding(kernel: Kernel, stride: int) -> Padding:
    """Padding that is the same on all sides where a window strides.

    ``same`` pads a map of even size at its far edges only, which shifts it by half a position.
    """
    height, width = get_sides(kernel)
    if stride == 1 or height % 2 == 0 or width % 2 == 0:
        return "same"
    return height // 2, width // 2
