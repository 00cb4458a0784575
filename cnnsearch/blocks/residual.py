"""Residual units: basic, bottleneck and their pre-activation forms, with the usual refinements."""

from typing import ClassVar, Literal

from cnnsearch.blocks.attention import Place
from cnnsearch.blocks.base import Block, require_width, round_width
from cnnsearch.blocks.layers import KernelSize, Positive, Rate
from cnnsearch.blocks.node import Expansion
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.blocks.parts import (
    ShortcutKind,
    SqueezeRatio,
    centre_padding,
    wire_shortcut,
)


class Basic(Block):
    """Two 3x3 convolutions around an identity (He et al., 2015, arXiv:1512.03385, fig. 5 left).

    Attributes:
        kernel: side of both filters.
        dilation: distance between the taps of a filter (arXiv:1705.09914); none where it strides.
        shortcut: what joins where the shape changes: option B (projection), option A (pad) or a
            projection behind average pooling (pool).
        squeeze_ratio: width of the squeeze-and-excitation gate over the block's; 0: none.
    """

    family: ClassVar[str] = "residual"
    attention_places: ClassVar[tuple[Place, ...]] = ("end", "middle")

    type: Literal["basic"] = "basic"
    kernel: KernelSize = 3
    dilation: Positive = 1
    shortcut: ShortcutKind = "projection"
    squeeze_ratio: SqueezeRatio = 0.0

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        dilation = self.dilation if stride == 1 else 1
        y = op.conv(x, filters, self.kernel, stride, dilation=dilation)
        y = self.attend(op, y, "middle", x)
        y = op.conv(y, filters, self.kernel, dilation=self.dilation, activation=False)
        y = self.attend(op, y, "end", x, filters * self.squeeze_ratio)
        around = wire_shortcut(op, x, filters, stride, self.shortcut)
        return op.activate(op.add([around, op.drop_path(y)]))


class Bottleneck(Block):
    """1x1 - 3x3 - 1x1 residual unit (He et al., 2015, arXiv:1512.03385, fig. 5 right).

    The stage's width is that of the 3x3 convolution; the output has ``expansion`` times as many
    channels.

    Attributes:
        expansion: output channels over the stage's width.
        kernel: side of the middle filter.
        dilation: distance between the taps of the middle filter; none where it strides.
        groups: groups of the middle convolution (ResNeXt's cardinality, arXiv:1611.05431).
        stride_on: which convolution strides: ``first`` as in the paper (v1), ``middle`` (v1.5).
        shortcut: what joins where the shape changes: option B (projection), option A (pad) or a
            projection behind average pooling (pool).
        squeeze_ratio: width of the squeeze-and-excitation gate over the output's; 0: none.
    """

    family: ClassVar[str] = "residual"
    attention_places: ClassVar[tuple[Place, ...]] = ("end", "middle")

    type: Literal["bottleneck"] = "bottleneck"
    expansion: Expansion = 4
    kernel: KernelSize = 3
    dilation: Positive = 1
    groups: Positive = 1
    stride_on: Literal["first", "middle"] = "middle"
    shortcut: ShortcutKind = "projection"
    squeeze_ratio: SqueezeRatio = 0.0

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        inner = require_width(self, width)
        filters = round_width(inner * self.expansion)
        first, middle = (stride, 1) if self.stride_on == "first" else (1, stride)
        dilation = self.dilation if middle == 1 else 1
        y = op.conv(x, inner, 1, first)
        y = op.conv(y, inner, self.kernel, middle, groups=self.groups, dilation=dilation)
        y = self.attend(op, y, "middle", x)
        y = op.conv(y, filters, 1, activation=False)
        y = self.attend(op, y, "end", x, filters * self.squeeze_ratio)
        around = wire_shortcut(op, x, filters, stride, self.shortcut)
        return op.activate(op.add([around, op.drop_path(y)]))


class PreactBasic(Block):
    """Basic unit that normalizes and activates first (He et al., 2016, arXiv:1603.05027).

    With a wide stage and dropout it is the unit of Wide ResNets (arXiv:1605.07146).

    Attributes:
        kernel: side of both filters.
        dropout: rate of the dropout between the two convolutions.
        squeeze_ratio: width of the squeeze-and-excitation gate over the block's; 0: none.
        pool_shortcut: where only the size changes, subsample instead of projecting.
    """

    family: ClassVar[str] = "residual"
    attention_places: ClassVar[tuple[Place, ...]] = ("end", "middle")
    preactivation: ClassVar[bool] = True

    type: Literal["preact_basic"] = "preact_basic"
    kernel: KernelSize = 3
    dropout: Rate = 0.0
    squeeze_ratio: SqueezeRatio = 0.0
    pool_shortcut: bool = False

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        ready = op.activate(op.normalize(x))
        y = op.conv(
            ready, filters, self.kernel, stride, padding=centre_padding(self.kernel, stride)
        )
        y = self.attend(op, op.dropout(y, self.dropout), "middle", x)
        y = op.conv(y, filters, self.kernel, norm=False, activation=False)
        y = self.attend(op, y, "end", x, filters * self.squeeze_ratio)
        around = _preact_shortcut(op, x, ready, filters, stride, self.pool_shortcut)
        return op.add([around, op.drop_path(y)])


class PreactBottleneck(Block):
    """Bottleneck unit that normalizes and activates first (He et al., 2016, arXiv:1603.05027).

    The stage's width is that of the 3x3 convolution, as in ``bottleneck``.

    Attributes:
        expansion: output channels over the stage's width.
        kernel: side of the middle filter.
        groups: groups of the middle convolution.
        squeeze_ratio: width of the squeeze-and-excitation gate over the output's; 0: none.
        pool_shortcut: where only the size changes, subsample instead of projecting
            (TF-Slim and keras.applications).
        out_bias: bias on the last convolution and on projections (the same two).
    """

    family: ClassVar[str] = "residual"
    attention_places: ClassVar[tuple[Place, ...]] = ("end", "middle")
    preactivation: ClassVar[bool] = True

    type: Literal["preact_bottleneck"] = "preact_bottleneck"
    expansion: Expansion = 4
    kernel: KernelSize = 3
    groups: Positive = 1
    squeeze_ratio: SqueezeRatio = 0.0
    pool_shortcut: bool = False
    out_bias: bool = False

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        inner = require_width(self, width)
        filters = round_width(inner * self.expansion)
        bias = True if self.out_bias else None
        padding = centre_padding(self.kernel, stride)
        ready = op.activate(op.normalize(x))
        y = op.conv(ready, inner, 1)
        y = op.conv(y, inner, self.kernel, stride, padding=padding, groups=self.groups)
        y = self.attend(op, y, "middle", x)
        y = op.conv(y, filters, 1, bias=bias, norm=False, activation=False)
        y = self.attend(op, y, "end", x, filters * self.squeeze_ratio)
        around = _preact_shortcut(op, x, ready, filters, stride, self.pool_shortcut, bias)
        return op.add([around, op.drop_path(y)])


def _preact_shortcut(
    op: Ops[T], x: T, ready: T, width: int, stride: int, pool: bool, bias: bool | None = None
) -> T:
    """The identity where the shape stays; else a projection of the activated map (fig. 4e)."""
    narrow = op.shape(x).c != width
    if stride == 1 and not narrow:
        return x
    if pool and not narrow:
        return op.pool(x, "max", 1, stride, "valid")
    return op.conv(ready, width, 1, stride, bias=bias, norm=False, activation=False)
