"""The operations that every block is wired with, and the style that sets their defaults.

A block describes its wiring once, against :class:`Ops`. Interpreters give the verbs a meaning:
``CountingOps`` walks with shapes and adds up cost, ``KerasOps`` walks with Keras tensors and builds
the model. One wiring, so that they cannot disagree.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")

Kernel = int | tuple[int, int]
ConvPadding = Literal["same", "valid", "zeros"] | int | tuple[int, int]
Padding = ConvPadding | Literal["ceil"]
PoolKind = Literal["max", "avg"]
NormKind = Literal["batch", "layer", "group", "global_response", "none"]
Activation = Literal[
    "relu", "relu6", "leaky_relu", "prelu", "elu", "gelu", "gelu_tanh", "quick_gelu", "swish",
    "hard_swish", "mish", "tanh", "sigmoid", "hard_sigmoid", "softmax", "linear",
]  # fmt: skip


class Shape(NamedTuple):
    """The shape of one feature map, batch left out: height, width and channels (channels last)."""

    h: int
    w: int
    c: int

    def __str__(self) -> str:
        return f"{self.h}x{self.w}x{self.c}"


class Style(BaseModel):
    """Defaults of the layers of an architecture.

    Attributes:
        activation: the nonlinearity after each convolution. ``prelu`` learns a slope per channel
            (arXiv:1502.01852); ``gelu_tanh`` and ``quick_gelu`` approximate ``gelu``
            (arXiv:1606.08415, section 2), by tanh and by x * sigmoid(1.702 x).
        norm: the normalization between a convolution and its nonlinearity: ``batch``, ``layer``,
            ``group`` (arXiv:1803.08494), ``global_response`` (arXiv:2301.00808) or ``none``.
        norm_groups: groups of channels of ``norm: group``; has to divide the channels of every map
            that is normalized.
        bias: whether convolutions have a bias; None: exactly where ``norm`` is ``none``.
        norm_epsilon: added to the variance.
        torch_padding: whether strided convolutions of padding ``same`` are padded alike on all
            sides, as in PyTorch; Keras pads a map of even size at its far edges only. It does not
            change pooling: PyTorch's max pooling of 3, stride 2 is ``{type: max_pool, size: 3,
            stride: 2, padding: 1}``.
        norm_scale: whether normalization learns gamma (keras.applications' Inception-v3 does not).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    activation: Activation = "relu"
    norm: NormKind = "batch"
    norm_groups: int = Field(default=32, gt=0, le=65536)
    bias: bool | None = None
    norm_epsilon: float = Field(default=1e-3, gt=0)
    norm_scale: bool = True
    torch_padding: bool = False

    @property
    def conv_bias(self) -> bool:
        """Whether a convolution has a bias by default."""
        return self.norm == "none" if self.bias is None else self.bias


class Ops(Protocol[T]):
    """The verbs. ``T`` stands for a feature map: a shape, a Keras tensor, a node of a drawing."""

    style: Style

    def scope(self, name: str, drop_path: float = 0.0) -> AbstractContextManager[object]:
        """Names what is wired inside, and sets the rate of :meth:`drop_path` there."""

    def shape(self, x: T) -> Shape:
        """The shape of ``x``; after :meth:`flatten` and :meth:`global_pool` it is 1x1xC."""

    def conv(
        self,
        x: T,
        filters: int,
        kernel: Kernel = 3,
        stride: int = 1,
        *,
        padding: Padding = "same",
        groups: int = 1,
        dilation: int = 1,
        bias: bool | None = None,
        norm: bool = True,
        activation: bool | Activation = True,
    ) -> T:
        """Convolution, then normalization, then activation; True takes the style's kind."""

    def depthwise_conv(
        self,
        x: T,
        kernel: Kernel = 3,
        stride: int = 1,
        *,
        multiplier: int = 1,
        padding: Padding = "same",
        dilation: int = 1,
        bias: bool | None = None,
        norm: bool = True,
        activation: bool | Activation = True,
    ) -> T:
        """One filter (``multiplier`` filters) a channel, then normalization, then activation."""

    def channel_conv(self, x: T, kernel: int) -> T:
        """One filter without bias over neighbouring channels of a 1x1xC map (arXiv:1910.03151)."""

    def dense(self, x: T, units: int, *, activation: Activation = "linear", bias: bool = True) -> T:
        """Fully connected over the channels."""

    def normalize(self, x: T, kind: NormKind | None = None) -> T:
        """Normalization; None takes the style's kind."""

    def local_response_norm(self, x: T) -> T:
        """Krizhevsky et al. (2012), section 3.3; no weights."""

    def activate(self, x: T, activation: Activation | None = None) -> T:
        """Nonlinearity; None takes the style's."""

    def pool(
        self, x: T, kind: PoolKind, size: int = 2, stride: int = 2, padding: Padding = "same"
    ) -> T:
        """Pooling; the padding ``ceil`` is Caffe's: partial windows at the far edges count.

        ``zeros`` pads as ``same`` does, but zeros count as values (as in convolutions).
        """

    def global_pool(self, x: T, kind: PoolKind = "avg") -> T:
        """The mean or maximum over all positions: 1x1xC."""

    def flatten(self, x: T) -> T:
        """All values in one row: 1x1x(H*W*C)."""

    def add(self, xs: Sequence[T]) -> T:
        """Sum of maps of one shape."""

    def mean(self, xs: Sequence[T], drop_path: float = 0.0) -> T:
        """Mean of maps of one shape; in training each drops at the rate, one at least stays."""

    def multiply(self, x: T, gate: T) -> T:
        """Scales each value of ``x`` by a gate of its shape, or each channel by a 1x1xC gate."""

    def concat(self, xs: Sequence[T]) -> T:
        """Joins maps of one height and width along the channels."""

    def select(self, x: T, channels: Sequence[int]) -> T:
        """The listed channels."""

    def pad_channels(self, x: T, channels: int) -> T:
        """Zero channels appended up to ``channels`` in all."""

    def shift(self, x: T) -> T:
        """Moves the map up and left by one position; zeros enter."""

    def space_to_depth(self, x: T, block: int = 2) -> T:
        """Moves each block x block square of positions into channels."""

    def scale(self, x: T, factor: float) -> T:
        """Multiplies by a constant."""

    def affine(self, x: T, *, bias: bool, initial: float = 1.0) -> T:
        """Multiplies each channel by a learned coefficient and optionally adds a learned bias."""

    def dropout(self, x: T, rate: float) -> T:
        """Dropout of single values in training."""

    def drop_path(self, x: T) -> T:
        """Stochastic depth at the enclosing scope's rate: drops ``x`` for whole examples."""

    def rbf(self, x: T, classes: int) -> T:
        """Minus the squared distance to one fixed prototype a class (LeCun et al., 1998)."""


@contextmanager
def override_style(op: Ops[T], changes: dict[str, Any]) -> Iterator[None]:
    """Changes the style of what is wired inside."""
    outside = op.style
    op.style = outside.model_copy(update=changes)
    try:
        yield
    finally:
        op.style = outside
