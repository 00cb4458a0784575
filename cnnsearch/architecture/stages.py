"""Stages of blocks and heads: what an architecture is made of beside single layers."""

from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from cnnsearch.blocks import AnyBlock, AnyLayer, Ops, Rounding
from cnnsearch.blocks.layers import GlobalPool, Rate, wire_all, wire_blur_pool
from cnnsearch.blocks.ops import Activation, NormKind, T, override_style

Width = Annotated[int, Field(gt=0, le=65536)]
CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Stage(BaseModel):
    """The same block ``depth`` times, the first (or last) of them striding.

    A block without options may be given by its name alone: ``block: basic``. Single layers stand
    between stages by themselves: ``{type: max_pool}``.

    Attributes:
        block: what is repeated.
        depth: how often; 0 removes the stage.
        width: the block's width in channels.
        stride: the factor by which the stage shrinks height and width.
        stride_on: which block of the stage strides (``last`` as in keras.applications' ResNetV2).
        downsample: how it shrinks: the block's own stride, or pooling, blur-pooling
            (arXiv:1904.11486) or space-to-depth (arXiv:2208.03641) in front of it.
        activation: of its blocks; None: the style's.
        norm: of its blocks; None: the style's.
    """

    model_config = CONFIG

    block: AnyBlock
    depth: Annotated[int, Field(ge=0, le=1000)] = 1
    width: Width | None = None
    stride: Annotated[int, Field(ge=1, le=16)] = 1
    stride_on: Literal["first", "last"] = "first"
    downsample: Literal["stride", "max_pool", "avg_pool", "blur_pool", "space_to_depth"] = "stride"
    activation: Activation | None = None
    norm: NormKind | None = None

    def override_style(self, op: Ops[T]) -> AbstractContextManager[None]:
        """Wires what is inside in the stage's own style."""
        own = {"activation": self.activation, "norm": self.norm}
        changes = {name: value for name, value in own.items() if value is not None}
        return override_style(op, changes) if changes else nullcontext()

    def wire_block(self, op: Ops[T], x: T, index: int, previous: T | None = None) -> T:
        """Wires block number ``index`` of the stage; ``previous`` was the last block's input."""
        strided = 0 if self.stride_on == "first" else self.depth - 1
        stride = self.stride if index == strided else 1
        if stride > 1 and self.downsample != "stride" and not self.block.pools_itself:
            x, stride = self._downsample(op, x), 1
        if self.activation is None and self.norm is None:
            return self.block.wire_whole(op, x, previous, self.width, stride)
        with self.override_style(op):
            return self.block.wire_whole(op, x, previous, self.width, stride)

    def _downsample(self, op: Ops[T], x: T) -> T:
        if self.downsample == "space_to_depth":
            return op.space_to_depth(x, self.stride)
        if self.downsample == "blur_pool":
            return wire_blur_pool(op, x, self.stride)
        kind: Literal["max", "avg"] = "max" if self.downsample == "max_pool" else "avg"
        return op.pool(x, kind, self.stride, self.stride)

    def fold(self, norm: NormKind) -> Self:
        """Returns the stage of the block as it is deployed; ``norm`` is the style's."""
        if (self.norm or norm) not in ("batch", "none"):
            return self
        return self.model_copy(update={"block": self.block.fold()})

    def scale_widths(self, width: Rounding) -> Self:
        """Returns the stage with every width passed through ``width``; depth is left alone."""
        own = None if self.width is None else self.block.scale_width(self.width, width)
        return self.model_copy(update={"block": self.block.scale_widths(width), "width": own})


class Head(BaseModel):
    """The layers from the last feature map to one logit per class.

    Attributes:
        layers: those before the classifier.
        dropout: rate of the dropout just before it.
        classifier: a dense layer, a 1x1 convolution with global pooling behind it (SqueezeNet), or
            fixed radial-basis prototypes (LeNet-5).
    """

    model_config = CONFIG

    layers: tuple[AnyLayer, ...] = (GlobalPool(),)
    dropout: Rate = 0.0
    classifier: Literal["dense", "conv", "rbf"] = "dense"

    def wire(self, op: Ops[T], x: T, classes: int) -> T:
        """Wires the head; the result holds logits, 1x1x``classes``."""
        x = wire_all(op, x, self.layers)
        if self.dropout:
            x = op.dropout(x, self.dropout)
        if self.classifier == "rbf":
            return op.rbf(x, classes)
        if self.classifier == "dense":
            return op.dense(x, classes)
        return op.global_pool(op.conv(x, classes, 1, bias=True, norm=False))


class AuxiliaryHead(BaseModel):
    """A second classifier that helps training and is left out of the exported model.

    Attributes:
        after: index of the stage (or of the layer between stages) whose output it reads.
        head: its layers and classifier.
        weight: of its loss, beside the main one's 1 (Szegedy et al., arXiv:1409.4842: 0.3).
    """

    model_config = CONFIG

    after: Annotated[int, Field(ge=0)]
    head: Head
    weight: Annotated[float, Field(gt=0.0, le=10.0)] = 0.3
