"""ConvMixer: patches, then one block repeated at one size."""

from typing import ClassVar, Literal

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.layers import KernelSize
from cnnsearch.blocks.ops import Ops, T


class ConvMixer(Block):
    """Depthwise convolution around an identity, then 1x1 (Trockman & Kolter, arXiv:2201.09792).

    Each convolution is activated before it is normalized. Where size or width change, a convolution
    as large as the stride leads, like the paper's patch embedding. The paper's style is
    ``{activation: gelu, bias: true}``.

    Attributes:
        kernel: side of the depthwise filter.
    """

    family: ClassVar[str] = "convmixer"

    type: Literal["convmixer"] = "convmixer"
    kernel: KernelSize = 9

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        if stride > 1 or op.shape(x).c != filters:
            x = op.normalize(op.conv(x, filters, stride, stride, padding="valid", norm=False))
        y = op.normalize(op.depthwise_conv(x, self.kernel, norm=False))
        y = op.add([x, op.drop_path(y)])
        return op.normalize(op.conv(y, filters, 1, norm=False))
