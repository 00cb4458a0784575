"""Residual units: basic, bottleneck and their pre-activation forms, with the usual refinements."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cnnsearch.blocks.base import Block, need_width
from cnnsearch.blocks.layers import KernelSize, Positive
from cnnsearch.blocks.ops import Ops, T

ShortcutKind = Literal["projection", "pad"]
SqueezeRatio = Annotated[float, Field(ge=0.0, le=1.0)]


def squeeze_excite(op: Ops[T], x: T, reduced: int) -> T:
    """Channel gate of two biased 1x1 convolutions (Hu et al., arXiv:1709.01507)."""
    gate = op.global_pool(x)
    gate = op.conv(gate, reduced, 1, bias=True, norm=False, activation=True)
    gate = op.conv(gate, op.shape(x).c, 1, bias=True, norm=False, activation="sigmoid")
    return op.multiply(x, gate)


def shortcut(op: Ops[T], x: T, width: int, stride: int, kind: ShortcutKind = "projection") -> T:
    """The way around a residual unit (He et al., arXiv:1512.03385, section 4.1).

    Args:
        op: the interpreter.
        x: the unit's input.
        width: channels at the unit's end.
        stride: the unit's stride.
        kind: ``projection`` is option B (1x1 convolution where the shape changes), ``pad`` option A
            (subsampling and zero channels, no weights).
    """
    if stride == 1 and op.shape(x).c == width:
        return x
    if kind == "projection":
        return op.conv(x, width, 1, stride, activation=False)
    y = op.pool(x, "avg", 1, stride, "valid") if stride > 1 else x
    return op.pad_channels(y, width)


class Basic(Block):
    """Two 3x3 convolutions around an identity (He et al., 2015, arXiv:1512.03385, fig. 5 left).

    Attributes:
        kernel: side of both filters.
        shortcut: what joins where the shape changes: option B (projection) or A (pad).
        squeeze_ratio: width of the squeeze-and-excitation gate over the block's; 0: none.
    """

    family: ClassVar[str] = "residual"

    type: Literal["basic"] = "basic"
    kernel: KernelSize = 3
    shortcut: ShortcutKind = "projection"
    squeeze_ratio: SqueezeRatio = 0.0

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = need_width(self, width)
        y = op.conv(x, filters, self.kernel, stride)
        y = op.conv(y, filters, self.kernel, activation=False)
        if self.squeeze_ratio:
            y = squeeze_excite(op, y, max(1, int(filters * self.squeeze_ratio)))
        around = shortcut(op, x, filters, stride, self.shortcut)
        return op.activate(op.add([around, op.drop_path(y)]))


class Bottleneck(Block):
    """1x1 - 3x3 - 1x1 residual unit (He et al., 2015, arXiv:1512.03385, fig. 5 right).

    The stage's width is that of the 3x3 convolution; the output has ``expansion`` times as many
    channels.

    Attributes:
        expansion: output channels over the stage's width.
        kernel: side of the middle filter.
        groups: groups of the middle convolution (ResNeXt's cardinality, arXiv:1611.05431).
        stride_on: which convolution strides: ``first`` as in the paper (v1), ``middle`` (v1.5).
        shortcut: what joins where the shape changes: option B (projection) or A (pad).
        squeeze_ratio: width of the squeeze-and-excitation gate over the output's; 0: none.
    """

    family: ClassVar[str] = "residual"

    type: Literal["bottleneck"] = "bottleneck"
    expansion: Positive = 4
    kernel: KernelSize = 3
    groups: Positive = 1
    stride_on: Literal["first", "middle"] = "middle"
    shortcut: ShortcutKind = "projection"
    squeeze_ratio: SqueezeRatio = 0.0

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        inner = need_width(self, width)
        first, middle = (stride, 1) if self.stride_on == "first" else (1, stride)
        y = op.conv(x, inner, 1, first)
        y = op.conv(y, inner, self.kernel, middle, groups=self.groups)
        y = op.conv(y, inner * self.expansion, 1, activation=False)
        if self.squeeze_ratio:
            y = squeeze_excite(op, y, max(1, int(inner * self.expansion * self.squeeze_ratio)))
        around = shortcut(op, x, inner * self.expansion, stride, self.shortcut)
        return op.activate(op.add([around, op.drop_path(y)]))
