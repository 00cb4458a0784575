"""Augments a batch inside the compiled training step, on the device that trains.

Nothing here is part of the model, so it is not exported. The random parameters are drawn before, by
:mod:`cnnsearch.training.augmentation`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from keras import ops

Tensor = Any
GREY = (0.299, 0.587, 0.114)
FILL = 128.0
_BLUR = ((1, 1, 1), (1, 5, 1), (1, 1, 1))


class Targets(NamedTuple):
    """The targets of a batch, two for each image after Mixup or CutMix.

    Attributes:
        labels: int (N,).
        others: int (N,), labels of the images that were mixed in; None: none were.
        share: weight of ``labels`` in the loss, ().
    """

    labels: Tensor
    others: Tensor | None = None
    share: Tensor | None = None


def augment(images: Tensor, labels: Tensor, draw: Mapping[str, Tensor]) -> tuple[Tensor, Targets]:
    """Augments a batch with parameters drawn before.

    Args:
        images: uint8 (N, H, W, C).
        labels: int (N,).
        draw: of :func:`cnnsearch.training.augmentation.draw_augmentation`.

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
            x = _change_colours(x, draw["colour"][layer])
    if "erase" in draw:
        x = _erase(x, draw["erase"])
    targets = Targets(labels)
    if "order" in draw:
        x, targets = _mix(x, labels, draw)
    return ops.cast(ops.round(ops.clip(x, 0.0, 255.0)), "uint8"), targets


def _change_colours(x: Tensor, factors: Tensor) -> Tensor:
    """Applies RandAugment's colour operations; each image has at most one factor not neutral."""
    rows = [ops.reshape(factors[i], (-1, 1, 1, 1)) for i in range(7)]
    brightness, contrast, colour, sharpness, solarize, posterize, autocontrast = rows
    x = x * brightness
    x = _blend(ops.mean(_to_grey(x), axis=(1, 2, 3), keepdims=True), x, contrast)
    x = _blend(_to_grey(x), x, colour)
    x = ops.clip(_blend(_blur(x), x, sharpness), 0.0, 255.0)
    x = ops.where(x >= solarize, 255.0 - x, x)
    x = ops.where(posterize > 1.0, ops.floor(x / posterize) * posterize, x)
    low, high = (f(x, axis=(1, 2), keepdims=True) for f in (ops.min, ops.max))
    stretched = (x - low) * 255.0 / ops.maximum(high - low, 1.0)
    return ops.where(autocontrast > 0.0, stretched, x)


def _blend(base: Tensor, x: Tensor, factor: Tensor) -> Tensor:
    return ops.where(ops.equal(factor, 1.0), x, base + (x - base) * factor)


def _to_grey(x: Tensor) -> Tensor:
    if x.shape[-1] == 1:
        return x
    return ops.sum(x * ops.convert_to_tensor(GREY, "float32"), axis=-1, keepdims=True)


def _blur(x: Tensor) -> Tensor:
    kernel = ops.convert_to_tensor(_BLUR, "float32") / 13.0
    kernel = ops.tile(ops.reshape(kernel, (3, 3, 1, 1)), (1, 1, x.shape[-1], 1))
    return ops.depthwise_conv(x, kernel, padding="same")


def _is_inside(box: Tensor, height: int, width: int) -> Tensor:
    """Whether a pixel is in its box; box (..., 4), result (..., H, W)."""
    y = ops.reshape(ops.arange(height, dtype="float32"), (height, 1))
    x = ops.reshape(ops.arange(width, dtype="float32"), (1, width))
    top, left, bottom, right = (box[..., i, None, None] for i in range(4))
    rows = ops.logical_and(y >= top, y < bottom)
    return ops.logical_and(rows, ops.logical_and(x >= left, x < right))


def _erase(x: Tensor, boxes: Tensor) -> Tensor:
    """Fills each image's box with the image's mean colour."""
    hidden = _is_inside(boxes, x.shape[1], x.shape[2])[..., None]
    return ops.where(hidden, ops.mean(x, axis=(1, 2), keepdims=True), x)


def _mix(x: Tensor, labels: Tensor, draw: Mapping[str, Tensor]) -> tuple[Tensor, Targets]:
    """Mixes each image with another: by ``keep`` everywhere, or by pasting ``box``."""
    hidden = _is_inside(draw["box"], x.shape[1], x.shape[2])[..., None]
    kept = ops.where(hidden, 0.0, draw["keep"])
    others = ops.take(labels, draw["order"], axis=0)
    x = kept * x + (1.0 - kept) * ops.take(x, draw["order"], axis=0)
    return x, Targets(labels, others, draw["share"])
