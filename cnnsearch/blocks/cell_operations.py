"""The operations inside a cell, as the papers on NASNet and its successors name them."""

from typing import Literal, NamedTuple

from cnnsearch.blocks.convolutions import wire_separable_conv
from cnnsearch.blocks.ops import Kernel, Ops, PoolKind, T

Operation = Literal[
    "identity", "conv_1x1", "conv_3x3", "conv_1x7_7x1", "separable_3x3", "separable_5x5",
    "separable_7x7", "dilated_3x3", "avg_pool_3x3", "max_pool_3x3",
]  # fmt: skip


class Step(NamedTuple):
    """What the operations of one cell have in common.

    Attributes:
        filters: channels that each puts out.
        stride: of those on the cell's inputs.
        zeros: whether zeros beyond the edges count in pooling that strides.
    """

    filters: int
    stride: int
    zeros: bool


def activate_first(op: Ops[T], x: T, filters: int, kernel: Kernel, stride: int = 1) -> T:
    """Wires activation, convolution, normalization."""
    return op.conv(op.activate(x), filters, kernel, stride, activation=False)


def adjust_size(op: Ops[T], previous: T, x: T, filters: int) -> T:
    """Brings ``previous`` to the size of ``x`` and to ``filters`` channels.

    Where it is twice as large, two 1x1 convolutions read every other position, one of them shifted;
    where its size is another, ``x`` takes its place.
    """
    (h, w, c), (height, width, _) = op.shape(previous), op.shape(x)
    if (h, w) == (height, width):
        return previous if c == filters else activate_first(op, previous, filters, 1)
    if (-(-h // 2), -(-w // 2)) != (height, width) or filters == 1:
        return x
    ready = op.activate(previous)
    halves = [
        op.conv(ready, filters // 2, 1, 2, norm=False, activation=False),
        op.conv(op.shift(ready), filters - filters // 2, 1, 2, norm=False, activation=False),
    ]
    return op.normalize(op.concat(halves))


def apply_operation(op: Ops[T], name: Operation, x: T, step: Step) -> T:
    """Wires one operation of a cell."""
    filters, stride, _ = step
    fits = stride == 1 and op.shape(x).c == filters
    if name == "identity":
        return x if fits else activate_first(op, x, filters, 1, stride)
    if name.endswith("pool_3x3"):
        return _pool(op, x, "max" if name[0] == "m" else "avg", step)
    if name == "conv_1x7_7x1":
        y = op.conv(op.activate(x), filters, (1, 7), stride)
        return op.conv(y, filters, (7, 1), activation=False)
    side = int(name[-1])
    if name.startswith("conv"):
        return activate_first(op, x, filters, side, stride)
    if name == "dilated_3x3":
        y = op.activate(x)
        y = op.pool(y, "avg", 1, stride, "valid") if stride > 1 else y
        y = op.depthwise_conv(y, 3, dilation=2, bias=False, norm=False, activation=False)
        return op.conv(y, filters, 1, activation=False)
    y = wire_separable_conv(op, op.activate(x), filters, side, stride)
    return wire_separable_conv(op, y, filters, side, activation=False)


def _pool(op: Ops[T], x: T, kind: PoolKind, step: Step) -> T:
    y = op.pool(x, kind, 3, step.stride, "zeros" if step.zeros and step.stride > 1 else "same")
    return y if op.shape(y).c == step.filters else op.conv(y, step.filters, 1, activation=False)
