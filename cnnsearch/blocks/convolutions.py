"""Convolutions as single layers."""

from typing import ClassVar, Literal

from cnnsearch.blocks.node import KernelSize, Layer, Positive
from cnnsearch.blocks.ops import Activation, ConvPadding, Kernel, Ops, T


class Conv(Layer):
    """Convolution, normalization, activation; what is left open follows the style.

    Attributes:
        filters: channels of the output.
        kernel: side of the filters, or height and width.
        stride: the factor by which height and width shrink.
        padding: ``same`` (zeros, so that the size is divided by the stride, rounded up; see
            ``torch_padding`` in style), ``valid`` (none), or the number of zeros at every
            edge (two: rows, columns). ``zeros`` is ``same``.
        groups: groups of channels that do not see each other.
        dilation: distance between the taps of a filter.
        bias: None: as the style has it.
        norm: whether the style's normalization follows.
        activation: True: the style's; False: none; or its name.
    """

    width_fields: ClassVar[tuple[str, ...]] = ("filters",)
    type: Literal["conv"] = "conv"
    filters: Positive
    kernel: KernelSize = 3
    stride: Positive = 1
    padding: ConvPadding = "same"
    groups: Positive = 1
    dilation: Positive = 1
    bias: bool | None = None
    norm: bool = True
    activation: bool | Activation = True

    def wire(self, op: Ops[T], x: T) -> T:
        return op.conv(
            x, self.filters, self.kernel, self.stride, padding=self.padding, groups=self.groups,
            dilation=self.dilation, bias=self.bias, norm=self.norm, activation=self.activation,
        )  # fmt: skip


class DepthwiseConv(Layer):
    """One filter a channel (``multiplier`` filters), normalization, activation.

    Attributes:
        kernel: side of the filters, or height and width.
        stride: the factor by which height and width shrink.
        multiplier: filters of each channel.
        padding: as of ``conv``: ``same``, ``valid``, or the number of zeros at every edge.
        dilation: distance between the taps of a filter.
        bias: None: as the style has it.
        norm: whether the style's normalization follows.
        activation: True: the style's; False: none; or its name.
    """

    type: Literal["depthwise_conv"] = "depthwise_conv"
    kernel: KernelSize = 3
    stride: Positive = 1
    multiplier: Positive = 1
    padding: ConvPadding = "same"
    dilation: Positive = 1
    bias: bool | None = None
    norm: bool = True
    activation: bool | Activation = True

    def wire(self, op: Ops[T], x: T) -> T:
        return op.depthwise_conv(
            x, self.kernel, self.stride, multiplier=self.multiplier, padding=self.padding,
            dilation=self.dilation, bias=self.bias, norm=self.norm, activation=self.activation,
        )  # fmt: skip


class SeparableConv(Layer):
    """Depthwise, then 1x1 convolution, nothing in between (Chollet, arXiv:1610.02357).

    Attributes:
        filters: channels of the output.
        kernel: side of the depthwise filters, or height and width.
        stride: the factor by which height and width shrink.
        multiplier: depthwise filters of each channel.
        norm: whether the style's normalization follows.
        activation: True: the style's; False: none; or its name.
    """

    width_fields: ClassVar[tuple[str, ...]] = ("filters",)
    type: Literal["separable_conv"] = "separable_conv"
    filters: Positive
    kernel: KernelSize = 3
    stride: Positive = 1
    multiplier: Positive = 1
    norm: bool = True
    activation: bool | Activation = True

    def wire(self, op: Ops[T], x: T) -> T:
        return wire_separable_conv(
            op, x, self.filters, self.kernel, self.stride, self.multiplier, self.norm,
            self.activation,
        )  # fmt: skip


def wire_separable_conv(
    op: Ops[T],
    x: T,
    filters: int,
    kernel: Kernel = 3,
    stride: int = 1,
    multiplier: int = 1,
    norm: bool = True,
    activation: bool | Activation = True,
) -> T:
    """Wires a depthwise and a 1x1 convolution with one normalization and activation at the end."""
    y = op.depthwise_conv(
        x, kernel, stride, multiplier=multiplier, bias=False, norm=False, activation=False
    )
    return op.conv(y, filters, 1, norm=norm, activation=activation)
