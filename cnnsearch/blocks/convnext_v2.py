"""ConvNeXt V2: ConvNeXt's block with a normalization across the whole map."""

from typing import ClassVar, Literal

from cnnsearch.blocks.attention import Place
from cnnsearch.blocks.base import Block, require_width, round_width
from cnnsearch.blocks.layers import KernelSize
from cnnsearch.blocks.node import Expansion
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.blocks.parts import wire_patches


class ConvNeXtV2(Block):
    """ConvNeXt's block with global response normalization (Woo et al., arXiv:2301.00808, fig. 5).

    It stands behind the 1x1 expansion, where ConvNeXt has nothing, and LayerScale is gone. Where
    size or width change, a normalization and a convolution as large as the stride lead. The paper's
    style is ``{activation: gelu, norm: layer, norm_epsilon: 1e-6, bias: true}``.

    Attributes:
        expansion: channels of the hidden layer over the stage's width.
        kernel: side of the depthwise filter.
    """

    family: ClassVar[str] = "convnext"
    attention_places: ClassVar[tuple[Place, ...]] = ("end", "middle")

    type: Literal["convnext_v2"] = "convnext_v2"
    expansion: Expansion = 4
    kernel: KernelSize = 7

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        x = wire_patches(op, x, filters, stride)
        y = self.attend(op, op.depthwise_conv(x, self.kernel, activation=False), "middle", x)
        y = op.conv(y, round_width(filters * self.expansion), 1, norm=False)
        y = op.normalize(y, "global_response")
        y = op.conv(y, filters, 1, norm=False, activation=False)
        return op.add([x, op.drop_path(self.attend(op, y, "end", x))])
