"""Draws the random parameters of a batch's augmentation: small NumPy arrays; needs no framework.

The host draws, the device applies (:mod:`cnnsearch.training.augmentation_ops`): so a seed gives the
same batches on every backend, and a resumed training those that it would have had.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnsearch.space.recipe import RandAugment, TrainingRecipe

Draw = dict[str, npt.NDArray[Any]]
Rng = np.random.Generator
Matrix = npt.NDArray[np.float64]

ERASED_AREA = (0.02, 1 / 3)
ERASED_ASPECT = (0.3, 1 / 0.3)
COLOURS = ("brightness", "contrast", "colour", "sharpness", "solarize", "posterize", "autocontrast")
GEOMETRY = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
NEUTRAL = {"solarize": 256.0, "posterize": 1.0, "autocontrast": 0.0}
STRONGEST = 10


def draw_augmentation(recipe: TrainingRecipe, count: int, size: tuple[int, int], rng: Rng) -> Draw:
    """Draws the parameters of RandAugment, erasing, Mixup and CutMix.

    Args:
        recipe: its ``randaugment``, ``erasing``, ``mixup`` and ``cutmix``.
        count: images in the batch, N.
        size: height and width in pixels.
        rng: of this batch alone.

    Returns:
        Some of ``affine`` (N, 8), ``colour`` (layers, 7, N) with a row for each of
        :data:`COLOURS`, ``erase`` (N, 4), ``order`` (N,), ``keep`` (), ``box`` (4,) and
        ``share`` (); boxes are top, left, bottom, right in pixels. Empty without augmentation.
    """
    drawn: Draw = {}
    if recipe.randaugment:
        drawn |= _draw_randaugment(recipe.randaugment, count, size, rng)
    if recipe.erasing:
        drawn["erase"] = _draw_erased_boxes(recipe.erasing, count, size, rng)
    if recipe.mixup or recipe.cutmix:
        drawn |= _draw_mix(recipe, count, size, rng)
    return {
        name: value.astype(np.int32 if name == "order" else np.float32)
        for name, value in drawn.items()
    }


def _draw_randaugment(how: RandAugment, count: int, size: tuple[int, int], rng: Rng) -> Draw:
    """One random operation per image and layer (arXiv:1909.13719); all maps become one matrix."""
    strength = how.magnitude / STRONGEST
    kinds = rng.integers(0, len(GEOMETRY) + len(COLOURS) + 1, (how.layers, count))
    amounts = strength * rng.choice((-1.0, 1.0), (how.layers, count))
    affine = np.broadcast_to(np.eye(3), (count, 3, 3))
    for layer in zip(kinds, amounts, strict=True):
        maps = [_make_map(int(k), float(a), size) for k, a in zip(*layer, strict=True)]
        affine = affine @ np.stack(maps)
    to, back = np.eye(3), np.eye(3)
    back[:2, 2] = ((size[1] - 1) / 2, (size[0] - 1) / 2)
    to[:2, 2] = -back[:2, 2]
    colour = [_make_colour_factors(k, a) for k, a in zip(kinds, amounts, strict=True)]
    centred = back @ affine @ to
    return {"affine": centred.reshape(count, 9)[:, :8], "colour": np.stack(colour)}


def _make_map(kind: int, amount: float, size: tuple[int, int]) -> Matrix:
    """Returns the map from an output pixel (x, y, 1) to the input, about the centre."""
    matrix = np.eye(3)
    name = GEOMETRY[kind] if kind < len(GEOMETRY) else ""
    if name == "rotate":
        cos, sin = math.cos(math.radians(30 * amount)), math.sin(math.radians(30 * amount))
        matrix[:2, :2] = [[cos, -sin], [sin, cos]]
    elif name.startswith("shear"):
        matrix[(0, 1) if name == "shear_x" else (1, 0)] = 0.3 * amount
    elif name:
        axis = 0 if name == "translate_x" else 1
        matrix[axis, 2] = size[1 - axis] * amount / 3
    return matrix


def _make_colour_factors(kinds: npt.NDArray[Any], amounts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns one layer's factors of :data:`COLOURS`, (7, N); neutral for other operations."""
    rows = []
    for index, name in enumerate(COLOURS, start=len(GEOMETRY)):
        level = np.abs(amounts)
        value = {
            "solarize": 256 * (1 - level),
            "posterize": 2.0 ** np.round(4 * level),
            "autocontrast": np.ones_like(level),
        }.get(name, 1 + 0.9 * amounts)
        rows.append(np.where(kinds == index, value, NEUTRAL.get(name, 1.0)))
    return np.stack(rows)


def _draw_erased_boxes(
    share: float, count: int, size: tuple[int, int], rng: Rng
) -> npt.NDArray[Any]:
    """Draws a rectangle per image (arXiv:1708.04896, algorithm 1); an empty one erases nothing."""
    area = rng.uniform(*ERASED_AREA, count) * size[0] * size[1]
    aspect = np.exp(rng.uniform(math.log(ERASED_ASPECT[0]), math.log(ERASED_ASPECT[1]), count))
    height = np.minimum(np.round(np.sqrt(area * aspect)), size[0])
    width = np.minimum(np.round(np.sqrt(area / aspect)), size[1])
    top = np.floor(rng.random(count) * (size[0] - height + 1))
    left = np.floor(rng.random(count) * (size[1] - width + 1))
    box = np.stack([top, left, top + height, left + width], axis=1)
    return np.where((rng.random(count) < share)[:, None], box, 0.0)


def _draw_mix(recipe: TrainingRecipe, count: int, size: tuple[int, int], rng: Rng) -> Draw:
    """Draws Mixup (arXiv:1710.09412) or CutMix (arXiv:1905.04899); of both, one per batch."""
    cut = bool(recipe.cutmix) and (not recipe.mixup or rng.random() < 0.5)
    alpha = recipe.cutmix if cut else recipe.mixup
    keep = float(rng.beta(alpha or 1.0, alpha or 1.0))
    box, share = np.zeros(4), keep
    if cut:
        box = _draw_cut(1 - keep, size, rng)
        share = 1 - (box[2] - box[0]) * (box[3] - box[1]) / (size[0] * size[1])
        keep = 1.0
    order = rng.permutation(count)
    return {"order": order, "keep": np.array(keep), "box": box, "share": np.array(share)}


def _draw_cut(area: float, size: tuple[int, int], rng: Rng) -> npt.NDArray[Any]:
    """Draws a rectangle with a share of the area about any point, clipped at the edges."""
    half = np.array(size) * math.sqrt(area) / 2
    centre = rng.random(2) * size
    low = np.clip(np.round(centre - half), 0, size)
    high = np.clip(np.round(centre + half), 0, size)
    return np.concatenate([low, high])
