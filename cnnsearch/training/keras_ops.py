"""The operations of ``Ops`` on Keras tensors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

import keras
from keras import layers as kl

from cnnsearch.blocks.geometry import (
    compute_pads,
    get_sides,
    is_ceil_same,
    resolve_padding,
)
from cnnsearch.blocks.ops import Activation, Kernel, NormKind, Padding, PoolKind, Shape, Style
from cnnsearch.training.layers import (
    Affine,
    GlobalResponseNormalization,
    LocalResponseNormalization,
    MeanWithDropPath,
    Prototypes,
    gelu_tanh,
    quick_gelu,
)

Tensor = Any
FUNCTIONS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = MappingProxyType(
    {"gelu_tanh": gelu_tanh, "quick_gelu": quick_gelu}
)
"""Activations that Keras has no name for."""


class KerasOps:
    """Applies operations to Keras tensors of shape (batch, height, width, channels).

    Args:
        style: the architecture's.
        batch_norm_momentum: of the moving statistics.
    """

    def __init__(self, style: Style, batch_norm_momentum: float = 0.99) -> None:
        self.style = style
        self._place, self._drop_path = "", 0.0
        self._momentum = batch_norm_momentum
        self._made: dict[str, int] = {}

    @contextmanager
    def scope(self, name: str, drop_path: float = 0.0) -> Iterator[None]:
        outside = self._place, self._drop_path
        self._place, self._drop_path = name, drop_path
        yield
        self._place, self._drop_path = outside

    def _make_name(self, kind: str) -> str:
        name = f"{self._place}.{kind}" if self._place else kind
        self._made[name] = self._made.get(name, 0) + 1
        return name if self._made[name] == 1 else f"{name}_{self._made[name]}"

    def shape(self, x: Tensor) -> Shape:
        return Shape(*x.shape[1:]) if len(x.shape) == 4 else Shape(1, 1, x.shape[-1])

    def _pad(self, x: Tensor, padding: Padding) -> tuple[Tensor, str]:
        """Makes explicit zero padding a layer of its own; returns the padding mode that remains."""
        if isinstance(padding, str):
            return x, "same" if padding == "zeros" else padding
        rows, columns = get_sides(padding)
        if not rows and not columns:
            return x, "valid"
        return kl.ZeroPadding2D((rows, columns), name=self._make_name("pad"))(x), "valid"

    def _finish(self, x: Tensor, norm: bool, activation: bool | Activation) -> Tensor:
        if norm:
            x = self.normalize(x)
        if activation is False or activation == "linear":
            return x
        return self.activate(x, None if activation is True else activation)

    def conv(
        self,
        x: Tensor,
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
    ) -> Tensor:
        x, mode = self._pad(x, resolve_padding(self.style, padding, kernel, stride))
        layer = kl.Conv2D(
            filters, get_sides(kernel), stride, mode, groups=groups, dilation_rate=dilation,
            use_bias=self.style.conv_bias if bias is None else bias,
            kernel_initializer="he_normal", name=self._make_name("conv"),
        )  # fmt: skip
        return self._finish(layer(x), norm, activation)

    def depthwise_conv(
        self,
        x: Tensor,
        kernel: Kernel = 3,
        stride: int = 1,
        *,
        multiplier: int = 1,
        padding: Padding = "same",
        dilation: int = 1,
        bias: bool | None = None,
        norm: bool = True,
        activation: bool | Activation = True,
    ) -> Tensor:
        x, mode = self._pad(x, resolve_padding(self.style, padding, kernel, stride))
        layer = kl.DepthwiseConv2D(
            get_sides(kernel), stride, mode, depth_multiplier=multiplier, dilation_rate=dilation,
            use_bias=self.style.conv_bias if bias is None else bias,
            depthwise_initializer="he_normal", name=self._make_name("depthwise_conv"),
        )  # fmt: skip
        return self._finish(layer(x), norm, activation)

    def channel_conv(self, x: Tensor, kernel: int) -> Tensor:
        channels = self.shape(x).c
        x = kl.Reshape((channels, 1))(x)
        name = self._make_name("channel_conv")
        x = kl.Conv1D(1, kernel, padding="same", use_bias=False, name=name)(x)
        return kl.Reshape((1, 1, channels))(x)

    def dense(
        self, x: Tensor, units: int, *, activation: Activation = "linear", bias: bool = True
    ) -> Tensor:
        if len(x.shape) == 4 and self.shape(x)[:2] == (1, 1):
            x = self.flatten(x)
        initializer = "he_normal" if activation == "relu" else "glorot_uniform"
        layer = kl.Dense(
            units, use_bias=bias, kernel_initializer=initializer, name=self._make_name("dense")
        )
        return self._finish(layer(x), False, activation)

    def normalize(self, x: Tensor, kind: NormKind | None = None) -> Tensor:
        kind = kind or self.style.norm
        options = {"epsilon": self.style.norm_epsilon, "scale": self.style.norm_scale}
        if kind == "batch":
            name = self._make_name("batch_norm")
            return kl.BatchNormalization(momentum=self._momentum, name=name, **options)(x)
        if kind == "layer":
            return kl.LayerNormalization(name=self._make_name("layer_norm"), **options)(x)
        if kind == "group":
            name = self._make_name("group_norm")
            return kl.GroupNormalization(self.style.norm_groups, name=name, **options)(x)
        if kind == "global_response":
            name = self._make_name("global_response_norm")
            return GlobalResponseNormalization(self.style.norm_epsilon, name=name)(x)
        return x

    def local_response_norm(self, x: Tensor) -> Tensor:
        return LocalResponseNormalization(name=self._make_name("local_response_norm"))(x)

    def activate(self, x: Tensor, activation: Activation | None = None) -> Tensor:
        function = activation or self.style.activation
        if function == "linear":
            return x
        name = self._make_name(function)
        if function == "prelu":
            quarter = keras.initializers.Constant(0.25)
            return kl.PReLU(quarter, shared_axes=list(range(1, len(x.shape) - 1)), name=name)(x)
        return kl.Activation(FUNCTIONS.get(function, function), name=name)(x)

    def pool(
        self, x: Tensor, kind: PoolKind, size: int = 2, stride: int = 2, padding: Padding = "same"
    ) -> Tensor:
        if padding == "ceil":
            x, mode = self._pad_far(x, kind, size, stride)
        elif padding == "zeros":
            x, mode = self._pad_with_zeros(x, size, stride)
        else:
            x, mode = self._pad(x, padding)
        pooling = kl.MaxPooling2D if kind == "max" else kl.AveragePooling2D
        return pooling(size, stride, mode, name=self._make_name(f"{kind}_pool"))(x)

    def _pad_far(self, x: Tensor, kind: PoolKind, size: int, stride: int) -> tuple[Tensor, str]:
        """Pads the far edges so that the last, partial windows are complete.

        The maximum is taken of rows that are repeated, not of a very small number: as the range of
        a map that is quantized, that would leave nothing to its values.
        """
        shape = self.shape(x)
        _, _, *missing = compute_pads(shape, (size, size), stride, "ceil")
        if kind == "max" and is_ceil_same(shape, size, stride):
            return x, "same"
        if kind == "avg" and any(missing):
            return keras.ops.pad(x, [[0, 0], *([0, m] for m in missing), [0, 0]]), "valid"
        for number in range(max(missing)):
            pads = [[0, 0], *([0, int(m > number)] for m in missing), [0, 0]]
            x = keras.ops.pad(x, pads, mode="symmetric")
        return x, "valid"

    def _pad_with_zeros(self, x: Tensor, size: int, stride: int) -> tuple[Tensor, str]:
        """Pads as ``same`` would, with zeros that pooling takes for values."""
        shape = self.shape(x)
        top, left, bottom, right = compute_pads(shape, (size, size), stride, "zeros")
        pads = (top, bottom), (left, right)
        return kl.ZeroPadding2D(pads, name=self._make_name("pad"))(x), "valid"

    def global_pool(self, x: Tensor, kind: PoolKind = "avg") -> Tensor:
        pooling = kl.GlobalMaxPooling2D if kind == "max" else kl.GlobalAveragePooling2D
        return pooling(keepdims=True, name=self._make_name(f"global_{kind}_pool"))(x)

    def flatten(self, x: Tensor) -> Tensor:
        return kl.Flatten(name=self._make_name("flatten"))(x)

    def add(self, xs: Sequence[Tensor]) -> Tensor:
        return kl.Add(name=self._make_name("add"))(list(xs)) if len(xs) > 1 else xs[0]

    def mean(self, xs: Sequence[Tensor], drop_path: float = 0.0) -> Tensor:
        if len(xs) == 1:
            return xs[0]
        if drop_path:
            return MeanWithDropPath(drop_path, name=self._make_name("mean"))(list(xs))
        return kl.Average(name=self._make_name("mean"))(list(xs))

    def multiply(self, x: Tensor, gate: Tensor) -> Tensor:
        if len(gate.shape) == 2 and len(x.shape) == 4:  # it went through a dense layer
            gate = kl.Reshape((1, 1, gate.shape[-1]))(gate)
        return kl.Multiply(name=self._make_name("multiply"))([x, gate])

    def concat(self, xs: Sequence[Tensor]) -> Tensor:
        return kl.Concatenate(name=self._make_name("concat"))(list(xs)) if len(xs) > 1 else xs[0]

    def select(self, x: Tensor, channels: Sequence[int]) -> Tensor:
        return keras.ops.take(x, list(channels), axis=-1)

    def pad_channels(self, x: Tensor, channels: int) -> Tensor:
        missing = channels - self.shape(x).c
        return keras.ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, missing]]) if missing else x

    def shift(self, x: Tensor) -> Tensor:
        x = kl.ZeroPadding2D(((0, 1), (0, 1)), name=self._make_name("pad"))(x)
        return kl.Cropping2D(((1, 0), (1, 0)), name=self._make_name("shift"))(x)

    def space_to_depth(self, x: Tensor, block: int = 2) -> Tensor:
        h, w, c = self.shape(x)
        x = kl.Reshape((h // block, block, w // block, block, c))(x)
        x = kl.Permute((1, 3, 2, 4, 5))(x)
        return kl.Reshape((h // block, w // block, block * block * c))(x)

    def scale(self, x: Tensor, factor: float) -> Tensor:
        return kl.Rescaling(factor, name=self._make_name("scale"))(x)

    def affine(self, x: Tensor, *, bias: bool, initial: float = 1.0) -> Tensor:
        return Affine(bias, initial, name=self._make_name("affine"))(x)

    def dropout(self, x: Tensor, rate: float) -> Tensor:
        return kl.Dropout(rate, name=self._make_name("dropout"))(x) if rate else x

    def drop_path(self, x: Tensor) -> Tensor:
        if not self._drop_path:
            return x
        whole = (None, 1, 1, 1)
        return kl.Dropout(self._drop_path, whole, name=self._make_name("drop_path"))(x)

    def rbf(self, x: Tensor, classes: int) -> Tensor:
        return Prototypes(classes, name=self._make_name("rbf"))(x)
