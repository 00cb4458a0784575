"""InceptionNeXt: ConvNeXt's block with the large depthwise filter taken apart."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import Positive
from cnnsearch.blocks.ops import Kernel, Ops, T
from cnnsearch.blocks.parts import wire_patches


class InceptionNeXt(Block):
    """Square, row and column filters and identity, then 1x1 twice (Yu et al., arXiv:2303.16900).

    Where size or width change, a normalization and a convolution as large as the stride lead. The
    paper's style is ``{activation: gelu, bias: true}``.

    Attributes:
        share: share of the channels of each of the three depthwise filters; at least one channel.
        kernel: side of the square filter.
        band: length of the row and of the column filter.
        expansion: channels of the hidden layer over the stage's width.
        layer_scale: initial value of the coefficients on the residual (arXiv:2103.17239); 0: none.
    """

    family: ClassVar[str] = "inception_next"

    type: Literal["inception_next"] = "inception_next"
    share: Annotated[float, Field(gt=0.0, lt=1 / 3)] = 0.125
    kernel: Positive = 3
    band: Positive = 11
    expansion: Positive = 4
    layer_scale: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-6

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        x = wire_patches(op, x, filters, stride)
        y = op.normalize(self._mix(op, x, filters))
        y = op.conv(y, filters * self.expansion, 1, norm=False)
        y = op.conv(y, filters, 1, norm=False, activation=False)
        if self.layer_scale:
            y = op.affine(y, bias=False, initial=self.layer_scale)
        return op.add([x, op.drop_path(y)])

    def _mix(self, op: Ops[T], x: T, filters: int) -> T:
        """The identity's channels come first, as in the authors' code."""
        part = max(1, int(filters * self.share))
        kernels: tuple[Kernel, ...] = (self.kernel, (1, self.band), (self.band, 1))
        start = max(0, filters - part * len(kernels))
        ends = [op.select(x, range(start))] if start else []
        for kernel in kernels:
            channels = range(start, min(filters, start + part))
            y = op.select(x, channels)
            ends.append(op.depthwise_conv(y, kernel, norm=False, activation=False))
            start += part
        return op.concat(ends)
