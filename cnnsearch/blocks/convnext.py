"""ConvNeXt: a residual network with the manners of a vision transformer."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cnnsearch.blocks.attention import Place
from cnnsearch.blocks.base import Block, require_width, round_width
from cnnsearch.blocks.layers import KernelSize
from cnnsearch.blocks.node import Expansion
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.blocks.parts import wire_patches


class ConvNeXt(Block):
    """Depthwise 7x7, normalization, 1x1 expansion and back (Liu et al., arXiv:2201.03545, fig. 4).

    Where size or width change, a normalization and a convolution as large as the stride lead. The
    paper's style is ``{activation: gelu, norm: layer, norm_epsilon: 1e-6, bias: true}``.

    Attributes:
        expansion: channels of the hidden layer over the stage's width.
        kernel: side of the depthwise filter.
        layer_scale: initial value of the coefficients on the residual (arXiv:2103.17239); 0: none.
    """

    family: ClassVar[str] = "convnext"
    attention_places: ClassVar[tuple[Place, ...]] = ("end", "middle")

    type: Literal["convnext"] = "convnext"
    expansion: Expansion = 4
    kernel: KernelSize = 7
    layer_scale: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-6

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        filters = require_width(self, width)
        x = wire_patches(op, x, filters, stride)
        y = self.attend(op, op.depthwise_conv(x, self.kernel, activation=False), "middle", x)
        y = op.conv(y, round_width(filters * self.expansion), 1, norm=False)
        y = op.conv(y, filters, 1, norm=False, activation=False)
        y = self.attend(op, y, "end", x)
        if self.layer_scale:
            y = op.affine(y, bias=False, initial=self.layer_scale)
        return op.add([x, op.drop_path(y)])
