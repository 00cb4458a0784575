"""The single layers that stems, heads and free-form branches are made of."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Union

from pydantic import Field

from cnnsearch.blocks.base import Layer
from cnnsearch.blocks.lenet import Subsample, TableConv
from cnnsearch.blocks.ops import Activation, Kernel, NormKind, Ops, Padding, PoolKind, T

Positive = Annotated[int, Field(gt=0, le=1_000_000)]
_Side = Annotated[int, Field(gt=0, le=64)]
KernelSize = _Side | tuple[_Side, _Side]
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]


class Conv(Layer):
    """Convolution, normalization, activation; what is left open follows the style."""

    width_fields: ClassVar[tuple[str, ...]] = ("filters",)
    type: Literal["conv"] = "conv"
    filters: Positive
    kernel: KernelSize = 3
    stride: Positive = 1
    padding: Padding = "same"
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
    """One filter a channel (``multiplier`` filters), normalization, activation."""

    type: Literal["depthwise_conv"] = "depthwise_conv"
    kernel: KernelSize = 3
    stride: Positive = 1
    multiplier: Positive = 1
    padding: Padding = "same"
    norm: bool = True
    activation: bool | Activation = True

    def wire(self, op: Ops[T], x: T) -> T:
        return op.depthwise_conv(
            x, self.kernel, self.stride, multiplier=self.multiplier, padding=self.padding,
            norm=self.norm, activation=self.activation,
        )  # fmt: skip


class SeparableConv(Layer):
    """Depthwise, then 1x1 convolution, nothing in between (Chollet, arXiv:1610.02357)."""

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


class _Pool(Layer):
    kind: ClassVar[PoolKind]

    size: Positive = 2
    stride: Positive = 2
    padding: Padding = "same"

    def wire(self, op: Ops[T], x: T) -> T:
        return op.pool(x, self.kind, self.size, self.stride, self.padding)


class MaxPool(_Pool):
    """Maximum over windows."""

    kind = "max"
    type: Literal["max_pool"] = "max_pool"


class AvgPool(_Pool):
    """Mean over windows; padding does not count into the mean."""

    kind = "avg"
    type: Literal["avg_pool"] = "avg_pool"


class SpaceToDepth(Layer):
    """Each block x block square of positions becomes channels (SPD-Conv, arXiv:2208.03641)."""

    type: Literal["space_to_depth"] = "space_to_depth"
    block: Positive = 2

    def wire(self, op: Ops[T], x: T) -> T:
        return op.space_to_depth(x, self.block)


class Norm(Layer):
    """Normalization of the style's kind unless named."""

    type: Literal["norm"] = "norm"
    kind: NormKind | None = None

    def wire(self, op: Ops[T], x: T) -> T:
        return op.normalize(x, self.kind)


class LocalResponseNorm(Layer):
    """Local response normalization (Krizhevsky et al., 2012, section 3.3)."""

    type: Literal["local_response_norm"] = "local_response_norm"

    def wire(self, op: Ops[T], x: T) -> T:
        return op.local_response_norm(x)


class Activate(Layer):
    """A nonlinearity, of the style's kind unless named."""

    type: Literal["activation"] = "activation"
    function: Activation | None = None

    def wire(self, op: Ops[T], x: T) -> T:
        return op.activate(x, self.function)


class Dropout(Layer):
    """Dropout of single values in training (Srivastava et al., 2014)."""

    type: Literal["dropout"] = "dropout"
    rate: Rate = 0.5

    def wire(self, op: Ops[T], x: T) -> T:
        return op.dropout(x, self.rate)


class Flatten(Layer):
    """All values in one row."""

    type: Literal["flatten"] = "flatten"

    def wire(self, op: Ops[T], x: T) -> T:
        return op.flatten(x)


class Dense(Layer):
    """A fully connected layer."""

    width_fields: ClassVar[tuple[str, ...]] = ("units",)
    type: Literal["dense_layer"] = "dense_layer"
    units: Positive
    activation: Activation = "relu"

    def wire(self, op: Ops[T], x: T) -> T:
        return op.dense(x, self.units, activation=self.activation)


class GlobalPool(Layer):
    """Mean or maximum over all positions (Lin et al., arXiv:1312.4400)."""

    type: Literal["global_pool"] = "global_pool"
    kind: Literal["avg", "max"] = "avg"

    def wire(self, op: Ops[T], x: T) -> T:
        return op.global_pool(x, self.kind)


class Branches(Layer):
    """Paths of layers on the same input, joined; an empty path is the identity."""

    width_fields: ClassVar[tuple[str, ...]] = ("paths",)
    type: Literal["branches"] = "branches"
    join: Literal["concat", "add"] = "concat"
    paths: tuple[tuple["AnyLayer", ...], ...] = Field(min_length=1)

    def wire(self, op: Ops[T], x: T) -> T:
        ends = [wire_all(op, x, path) for path in self.paths]
        return op.concat(ends) if self.join == "concat" else op.add(ends)


def wire_all(op: Ops[T], x: T, layers: "tuple[Layer, ...]") -> T:
    """Wires layers one behind the other."""
    for layer in layers:
        x = layer.wire(op, x)
    return x


LAYERS: tuple[type[Layer], ...] = (
    Conv, DepthwiseConv, SeparableConv, MaxPool, AvgPool, SpaceToDepth, Norm, LocalResponseNorm,
    Activate, Dropout, Flatten, Dense, GlobalPool, Branches, Subsample, TableConv,
)  # fmt: skip

if TYPE_CHECKING:
    AnyLayer = Layer
else:
    AnyLayer = Annotated[Union[LAYERS], Field(discriminator="type")]  # noqa: UP007
