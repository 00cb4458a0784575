"""Augmentation of a batch inside the compiled training step, on the device that trains.

Nothing here is part of the model, so nothing of it is exported. What is random was drawn before
(:mod:`cnnsearch.training.augmentation`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from keras import ops

Tensor = Any
GREY = (0.299, 0.587, 0.114)
FILL = 128.0
_BLUR = ((1, 1, 1), (1, 5, 1), (1, 1, 1))


class Targets(NamedTuple):
    """What a batch should be told apart as.

    Attributes:
        labels: int (N,).
        others: int (N,), the labels of what was mixed in; None: nothing was.
        share: how much of the loss is that of ``labels``, ().
    """

    labels: Tensor
    others: Tensor | None = None
    share: Tensor | None = None


def transform(images: Tensor, labels: Tensor, draw: Mapping[str, Tensor]) -> tuple[Tensor, Targets]:
    """Applies what was drawn for a batch.

    Args:
        images: uint8 (N, H, W, C).
        labels: int (N,).
        draw: of :func:`cnnsearch.training.augmentation.draw`.

    Returns:
        The images, uint8 (N, H, W, C), and their targets.
    """
    if not draw:
        return images, Targets(labels)
    x = ops.cast(images, "float32")
    if "affine" in draw:
        x = ops.image.affine_transform(
            x, draw["affine"], interpolation="bilinear", fill_mode="constant", fill_value=FILL
        )
        for layer in range(draw["colour"].shape[0]):
            x = _coloured(x, draw["colour"][layer])
    if "erase" in draw:
        x = _erased(x, draw["erase"])
    targets = Targets(labels)
    if "order" in draw:
        x, targets = _mixed(x, labels, draw)
    return ops.cast(ops.round(ops.clip(x, 0.0, 255.0)), "uint8"), targets


def _coloured(x: Tensor, factors: Tensor) -> Tensor:
    """RandAugment's operations on colours; each image has a factor other than neutral of one."""
    rows = [ops.reshape(factors[i], (-1, 1, 1, 1)) for i in range(7)]
    brightness, contrast, colour, sharpness, solarize, posterize, autocontrast = rows
    x = x * brightness
    x = _between(ops.mean(_grey(x), axis=(1, 2, 3), keepdims=True), x, contrast)
    x = _between(_grey(x), x, colour)
    x = ops.clip(_between(_blurred(x), x, sharpness), 0.0, 255.0)
    x = ops.where(x >= solarize, 255.0 - x, x)
    x = ops.where(posterize > 1.0, ops.floor(x / posterize) * posterize, x)
    low, high = (f(x, axis=(1, 2), keepdims=True) for f in (ops.min, ops.max))
    stretched = (x - low) * 255.0 / ops.maximum(high - low, 1.0)
    return ops.where(autocontrast > 0.0, stretched, x)


def _between(base: Tensor, x: Tensor, factor: Tensor) -> Tensor:
    return ops.where(ops.equal(factor, 1.0), x, base + (x - base) * factor)


def _grey(x: Tensor) -> Tensor:
    if x.shape[-1] == 1:
        return x
    return ops.sum(x * ops.convert_to_tensor(GREY, "float32"), axis=-1, keepdims=True)


def _blurred(x: Tensor) -> Tensor:
    kernel = ops.convert_to_tensor(_BLUR, "float32") / 13.0
    kernel = ops.tile(ops.reshape(kernel, (3, 3, 1, 1)), (1, 1, x.shape[-1], 1))
    return ops.depthwise_conv(x, kernel, padding="same")


def _inside(box: Tensor, height: int, width: int) -> Tensor:
    """Whether a pixel is in its box; box (..., 4), result (..., H, W)."""
    y = ops.reshape(ops.arange(height, dtype="float32"), (height, 1))
    x = ops.reshape(ops.arange(width, dtype="float32"), (1, width))
    top, left, bottom, right = (box[..., i, None, None] for i in range(4))
    rows = ops.logical_and(y >= top, y < bottom)
    return ops.logical_and(rows, ops.logical_and(x >= left, x < right))


def _erased(x: Tensor, boxes: Tensor) -> Tensor:
    """Fills each image's box with the image's mean colour."""
    hidden = _inside(boxes, x.shape[1], x.shape[2])[..., None]
    return ops.where(hidden, ops.mean(x, axis=(1, 2), keepdims=True), x)


def _mixed(x: Tensor, labels: Tensor, draw: Mapping[str, Tensor]) -> tuple[Tensor, Targets]:
    """Mixes each image with another: all of it by ``keep``, or what lies in ``box``."""
    hidden = _inside(draw["box"], x.shape[1], x.shape[2])[..., None]
    kept = ops.where(hidden, 0.0, draw["keep"])
    others = ops.take(labels, draw["order"], axis=0)
    x = kept * x + (1.0 - kept) * ops.take(x, draw["order"], axis=0)
    return x, Targets(labels, others, draw["share"])
