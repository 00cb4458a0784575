"""The single layers that stems, heads and free-form branches are made of."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Union

from pydantic import Field

from cnnsearch.blocks.attention import EfficientChannelAttention, SqueezeExcite
from cnnsearch.blocks.convolutions import Conv, DepthwiseConv, SeparableConv
from cnnsearch.blocks.lenet import Subsample, TableConv
from cnnsearch.blocks.node import KernelSize as KernelSize
from cnnsearch.blocks.node import Layer
from cnnsearch.blocks.node import Positive as Positive
from cnnsearch.blocks.node import Rate as Rate
from cnnsearch.blocks.ops import Activation, NormKind, Ops, Padding, PoolKind, T
from cnnsearch.blocks.regroup import ChannelShuffle, ChannelSplit


class _Pool(Layer):
    """Pooling over windows.

    Attributes:
        size: side of the window.
        stride: the factor by which height and width shrink.
        padding: ``same`` (the size is divided by the stride, rounded up; padding is no value),
            ``valid`` (none), ``ceil`` (none, but the last, partial windows count, as in Caffe),
            ``zeros`` (as ``same``, with zeros that count as values), or the number of zeros at
            every edge, which count too (PyTorch's ``padding`` of max pooling behind a ReLU).
    """

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
    """Mean over windows; the padding ``same`` does not count into the mean."""

    kind = "avg"
    type: Literal["avg_pool"] = "avg_pool"


class BlurPool(Layer):
    """Fixed binomial filter that strides (Zhang, arXiv:1904.11486); pads with zeros.

    Attributes:
        size: side of the filter.
        stride: the factor by which height and width shrink.
    """

    type: Literal["blur_pool"] = "blur_pool"
    size: Literal[3, 5, 7] = 3
    stride: Positive = 2

    def wire(self, op: Ops[T], x: T) -> T:
        return wire_blur_pool(op, x, self.stride, self.size)


def wire_blur_pool(op: Ops[T], x: T, stride: int, size: int = 3) -> T:
    """Wires a binomial filter as the means of two neighbours that it is made of."""
    for i in range(size - 2):
        x = op.pool(x, "avg", 2, 1, 1 if i < size // 2 else 0)
    return op.pool(x, "avg", 2, stride, "valid")


class SpaceToDepth(Layer):
    """Each block x block square of positions becomes channels (SPD-Conv, arXiv:2208.03641).

    Attributes:
        block: side of the square.
    """

    type: Literal["space_to_depth"] = "space_to_depth"
    block: Positive = 2

    def wire(self, op: Ops[T], x: T) -> T:
        return op.space_to_depth(x, self.block)


class Norm(Layer):
    """Normalization of the style's kind unless named.

    Attributes:
        kind: None: the style's.
    """

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
    """A nonlinearity, of the style's kind unless named.

    Attributes:
        function: its name; None: the style's.
    """

    type: Literal["activation"] = "activation"
    function: Activation | None = None

    def wire(self, op: Ops[T], x: T) -> T:
        return op.activate(x, self.function)


class Dropout(Layer):
    """Dropout of single values in training (Srivastava et al., 2014).

    Attributes:
        rate: share of the values that are dropped.
    """

    type: Literal["dropout"] = "dropout"
    rate: Rate = 0.5

    def wire(self, op: Ops[T], x: T) -> T:
        return op.dropout(x, self.rate)


class DropPath(Layer):
    """Stochastic depth at the block's rate (Huang et al., arXiv:1603.09382); for free-form paths.

    Without effect outside of stages.
    """

    type: Literal["drop_path"] = "drop_path"

    def wire(self, op: Ops[T], x: T) -> T:
        return op.drop_path(x)


class Flatten(Layer):
    """All values in one row."""

    type: Literal["flatten"] = "flatten"

    def wire(self, op: Ops[T], x: T) -> T:
        return op.flatten(x)


class Dense(Layer):
    """A fully connected layer.

    Attributes:
        units: channels of the output.
        activation: what follows.
    """

    width_fields: ClassVar[tuple[str, ...]] = ("units",)
    type: Literal["dense_layer"] = "dense_layer"
    units: Positive
    activation: Activation = "relu"

    def wire(self, op: Ops[T], x: T) -> T:
        return op.dense(x, self.units, activation=self.activation)


class GlobalPool(Layer):
    """Mean or maximum over all positions (Lin et al., arXiv:1312.4400).

    Attributes:
        kind: mean or maximum.
    """

    type: Literal["global_pool"] = "global_pool"
    kind: Literal["avg", "max"] = "avg"

    def wire(self, op: Ops[T], x: T) -> T:
        return op.global_pool(x, self.kind)


Join = Literal["concat", "add", "multiply"]


class Branches(Layer):
    """Paths of layers on the same input, joined; an empty path is the identity.

    Attributes:
        join: how the ends meet. ``multiply`` takes maps of one shape, and 1x1 maps as gates.
        activation: what follows the join; True: the style's.
        paths: the layers of each path.
    """

    width_fields: ClassVar[tuple[str, ...]] = ("paths",)
    type: Literal["branches"] = "branches"
    join: Join = "concat"
    activation: bool | Activation = False
    paths: tuple[tuple["AnyLayer", ...], ...] = Field(min_length=1)

    def wire(self, op: Ops[T], x: T) -> T:
        return wire_paths(op, x, self.paths, self.join, self.activation)


def wire_paths(
    op: Ops[T],
    x: T,
    paths: "tuple[tuple[Layer, ...], ...]",
    join: Join,
    activation: bool | Activation,
) -> T:
    """Wires paths on the same input, and what joins them."""
    ends = [wire_all(op, x, path) for path in paths]
    if join == "multiply":
        y = _multiply(op, ends)
    else:
        y = op.concat(ends) if join == "concat" else op.add(ends)
    return op.activate(y, None if activation is True else activation) if activation else y


def _multiply(op: Ops[T], ends: list[T]) -> T:
    """Multiplies the first of the largest maps by the others."""
    sizes = [op.shape(end).h * op.shape(end).w for end in ends]
    first = sizes.index(max(sizes))
    y = ends[first]
    for other in ends[:first] + ends[first + 1 :]:
        y = op.multiply(y, other)
    return y


def wire_all(op: Ops[T], x: T, layers: "tuple[Layer, ...]") -> T:
    """Wires layers one behind the other."""
    for layer in layers:
        x = layer.wire(op, x)
    return x


LAYERS: tuple[type[Layer], ...] = (
    Conv, DepthwiseConv, SeparableConv, MaxPool, AvgPool, BlurPool, SpaceToDepth, Norm,
    LocalResponseNorm, Activate, SqueezeExcite, EfficientChannelAttention, ChannelSplit,
    ChannelShuffle, Dropout, DropPath, Flatten, Dense, GlobalPool, Branches, Subsample, TableConv,
)  # fmt: skip

if TYPE_CHECKING:
    AnyLayer = Layer
else:
    AnyLayer = Annotated[Union[LAYERS], Field(discriminator="type")]  # noqa: UP007
