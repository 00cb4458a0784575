"""Wiring shared by several block families."""

from typing import Annotated, Literal

from pydantic import Field

from cnnsearch.blocks.geometry import centre_padding as centre_padding
from cnnsearch.blocks.ops import Kernel, Ops, T

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


def wire_patches(op: Ops[T], x: T, width: int, stride: int) -> T:
    """Wires what leads a ConvNeXt stage: normalization and a convolution as large as the stride.

    Nothing where neither size nor width change (Liu et al., arXiv:2201.03545, section 2.6).
    """
    if stride == 1 and op.shape(x).c == width:
        return x
    ready = op.normalize(x)
    return op.conv(ready, width, stride, stride, padding="valid", norm=False, activation=False)


def wire_preactivated(op: Ops[T], x: T, filters: int, kernel: Kernel = 3, stride: int = 1) -> T:
    """Normalization, activation, convolution (He et al., arXiv:1603.05027)."""
    y = op.activate(op.normalize(x))
    return op.conv(y, filters, kernel, stride, norm=False, activation=False)
