"""Builds the Keras model of an architecture: the operations of ``Ops`` on Keras tensors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras import layers as kl

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.blocks.geometry import get_sides, slide_window
from cnnsearch.blocks.ops import Activation, Kernel, NormKind, Padding, PoolKind, Shape, Style
from cnnsearch.training.layers import (
    Affine,
    LocalResponseNormalization,
    MeanWithDropPath,
    Prototypes,
)

Tensor = Any


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
        x, mode = self._pad(x, padding)
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
        x, mode = self._pad(x, padding)
        layer = kl.DepthwiseConv2D(
            get_sides(kernel), stride, mode, depth_multiplier=multiplier, dilation_rate=dilation,
            use_bias=self.style.conv_bias if bias is None else bias,
            depthwise_initializer="he_normal", name=self._make_name("depthwise_conv"),
        )  # fmt: skip
        return self._finish(layer(x), norm, activation)

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
        return x

    def local_response_norm(self, x: Tensor) -> Tensor:
        return LocalResponseNormalization(name=self._make_name("local_response_norm"))(x)

    def activate(self, x: Tensor, activation: Activation | None = None) -> Tensor:
        function = activation or self.style.activation
        return (
            x
            if function == "linear"
            else kl.Activation(function, name=self._make_name(function))(x)
        )

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
        """Pads the far edges so that the last, partial windows are complete."""
        shape = self.shape(x)
        h, w = slide_window(shape, (size, size), stride, "ceil")
        missing = [(n - 1) * stride + size - have for n, have in ((h, shape.h), (w, shape.w))]
        if not any(missing):
            return x, "valid"
        filler = -3e38 if kind == "max" else 0.0
        pads = [[0, 0], *([0, m] for m in missing), [0, 0]]
        return keras.ops.pad(x, pads, constant_values=filler), "valid"

    def _pad_with_zeros(self, x: Tensor, size: int, stride: int) -> tuple[Tensor, str]:
        """Pads as ``same`` would, with zeros that pooling takes for values."""
        shape = self.shape(x)
        counts = slide_window(shape, (size, size), stride, "same")
        sides = zip(counts, shape[:2], strict=True)
        missing = [max(0, (n - 1) * stride + size - side) for n, side in sides]
        pads = tuple((m // 2, m - m // 2) for m in missing)
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


def build(
    architecture: Architecture,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    image: tuple[int, int] | None = None,
    batch_norm_momentum: float = 0.99,
    auxiliary: bool = False,
    policy: str = "float32",
) -> keras.Model:
    """Builds the Keras model, preprocessing included.

    Args:
        architecture: the network.
        mean: per channel, of training pixels scaled to [0, 1]; None: no normalization.
        std: per channel, likewise.
        image: height and width of input images; None: those of the architecture.
        batch_norm_momentum: of the moving statistics.
        auxiliary: whether to output the auxiliary heads' logits too, after the main ones.
        policy: Keras's dtype policy of all layers but preprocessing, which is float32.

    Returns:
        A model from raw pixels, (batch, height, width, channels) in 0..255, to logits
        (batch, classes); with auxiliary heads, to a list of such.

    Raises:
        ArchitectureError: the architecture cannot be wired; says where and why.
    """
    count(architecture)
    height, width, channels = architecture.input
    inputs = keras.Input((*(image or (height, width)), channels), dtype="uint8", name="image")
    x = preprocess(inputs, (height, width), mean, std)
    op = KerasOps(architecture.style, batch_norm_momentum)
    with_extra = auxiliary and bool(architecture.auxiliary)
    with _dtype_policy(policy):
        outputs = [_flatten_logits(y) for y in architecture.wire(op, x, with_extra)]
    name = "".join(c if c.isalnum() else "_" for c in architecture.name) or "architecture"
    return keras.Model(inputs, outputs if with_extra else outputs[0], name=name)


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Sets the policy of layers created meanwhile; Keras has a single one per process."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def preprocess(
    x: Tensor,
    size: tuple[int, int],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Tensor:
    """Resizes raw pixels where needed, rescales them to [0, 1] and normalizes each channel."""
    if tuple(x.shape[1:3]) != size:
        x = kl.Resizing(*size, antialias=True, name="resize")(x)
    x = kl.Rescaling(1 / 255, name="rescale")(x)
    if mean is None or std is None:
        return x
    variance = [max(s, 1e-6) ** 2 for s in std]
    return kl.Normalization(mean=list(mean), variance=variance, name="normalize")(x)


def _flatten_logits(x: Tensor) -> Tensor:
    return kl.Flatten()(x) if len(x.shape) == 4 else x
