"""Channel attention: gates that weigh the channels of a map, as layers and as options of blocks."""

import math
from typing import TYPE_CHECKING, Annotated, Literal, Union

from pydantic import Field

from cnnsearch.blocks.node import Layer, Positive, round_down, round_width
from cnnsearch.blocks.ops import Activation, Ops, T

Place = Literal["middle", "end"]


class SqueezeExcite(Layer):
    """Channel gate of two biased 1x1 convolutions (Hu et al., arXiv:1709.01507).

    Attributes:
        ratio: channels between the two convolutions over those of the map.
        divisor: the number of channels in between is the nearest multiple of it, and never more
            than a tenth too low (MobileNetV3, arXiv:1905.02244: 8); None: rounded down (what is
            less than 0.001 below a whole number becomes that number), at least 1.
        activation: between the two; None: the style's.
        gate: function of the gate; MobileNetV3's is ``hard_sigmoid``.
    """

    type: Literal["squeeze_excite"] = "squeeze_excite"
    ratio: Annotated[float, Field(gt=0.0, le=64.0)] = 0.25
    divisor: Positive | None = None
    activation: Activation | None = None
    gate: Literal["sigmoid", "hard_sigmoid"] = "sigmoid"

    def wire(self, op: Ops[T], x: T) -> T:
        return self.wire_gate(op, x, op.shape(x).c)

    def wire_gate(self, op: Ops[T], x: T, width: int) -> T:
        """Wires the gate; ``ratio`` is of ``width`` channels."""
        exact = width * self.ratio
        reduced = round_width(exact, self.divisor) if self.divisor else round_down(exact)
        return wire_squeeze_excite(op, x, reduced, self.activation or True, self.gate)


def wire_squeeze_excite(
    op: Ops[T],
    x: T,
    reduced: int,
    activation: bool | Activation = True,
    gate: Activation = "sigmoid",
) -> T:
    """Channel gate of two biased 1x1 convolutions (Hu et al., arXiv:1709.01507).

    Args:
        op: the interpreter.
        x: the map to be gated.
        reduced: channels between the two convolutions.
        activation: between the two; True: the style's.
        gate: function of the gate.
    """
    y = op.global_pool(x)
    y = op.conv(y, reduced, 1, bias=True, norm=False, activation=activation)
    y = op.conv(y, op.shape(x).c, 1, bias=True, norm=False, activation=gate)
    return op.multiply(x, y)


class EfficientChannelAttention(Layer):
    """Channel gate of one filter over neighbouring channels (Wang et al., arXiv:1910.03151).

    Attributes:
        kernel: taps of the filter, odd; None: (log2(C) + 1) / 2 for C channels, rounded down, and
            one more where that is even (eq. 12).
        gate: function of the gate.
    """

    type: Literal["eca"] = "eca"
    kernel: Literal[1, 3, 5, 7, 9, 11, 13, 15] | None = None
    gate: Literal["sigmoid", "hard_sigmoid"] = "sigmoid"

    def wire(self, op: Ops[T], x: T) -> T:
        return self.wire_gate(op, x, op.shape(x).c)

    def wire_gate(self, op: Ops[T], x: T, width: int) -> T:
        """Wires the gate; ``width`` is not used."""
        taps = self.kernel or int(abs((math.log2(op.shape(x).c) + 1) / 2)) | 1
        return op.multiply(x, op.activate(op.channel_conv(op.global_pool(x), taps), self.gate))


class _Option(Layer):
    """What a gate has as an option of a block.

    Attributes:
        position: behind the block's ``middle`` convolution or at its ``end``, before anything is
            added; None: where the block's paper has it. A block without such places is gated
            behind its output.
    """

    position: Place | None = None

    def wire_in_block(self, op: Ops[T], x: T, entering: int) -> T:
        """Wires the gate; ``entering`` is the number of channels of the block's input."""
        raise NotImplementedError


class BlockSqueezeExcite(SqueezeExcite, _Option):
    """Squeeze-and-excitation as an option of a block.

    Attributes:
        of: whether ``ratio`` is of the gated map or of the block's ``input`` (EfficientNet).
    """

    of: Literal["map", "input"] = "map"

    def wire_in_block(self, op: Ops[T], x: T, entering: int) -> T:
        return self.wire_gate(op, x, entering if self.of == "input" else op.shape(x).c)


class BlockEfficientChannelAttention(EfficientChannelAttention, _Option):
    """Efficient channel attention as an option of a block."""

    def wire_in_block(self, op: Ops[T], x: T, entering: int) -> T:
        return self.wire_gate(op, x, entering)


OPTIONS: tuple[type[_Option], ...] = (BlockSqueezeExcite, BlockEfficientChannelAttention)

if TYPE_CHECKING:
    AnyAttention = _Option
else:
    AnyAttention = Annotated[Union[OPTIONS], Field(discriminator="type")]  # noqa: UP007
