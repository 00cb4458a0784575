"""Builds the Keras model of an architecture, preprocessing included."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
from keras import layers as kl

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.training.keras_ops import KerasOps, Tensor


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


def apply_to_pixels(model: keras.Model, pixels: Tensor) -> Tensor:
    """Runs a network on float pixels, which its uint8 input would truncate.

    Resizing then rounds nothing; of uint8 images, some of Keras's backends round the result.
    """
    first = model.layers[1]
    return keras.Model(first.output, model.outputs[0])(first(pixels), training=False)


def _flatten_logits(x: Tensor) -> Tensor:
    return kl.Flatten()(x) if len(x.shape) == 4 else x
