"""What augmentation draws at random for a batch: small NumPy arrays; no framework.

The host draws, the device applies (``transforms``): so the same seed gives the same
batches on every backend, and a training that was interrupted goes on with those it would have had.
"""

import math
from collections.abc import Callable
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


def draw(recipe: TrainingRecipe, count: int, size: tuple[int, int], rng: Rng) -> Draw:
    """Draws what a recipe asks for beyond flips and shifts.

    Args:
        recipe: whose randaugment, erasing, mixup and cutmix are read.
        count: images in the batch, N.
        size: height and width in pixels.
        rng: of this batch alone.

    Returns:
        Nothing for a recipe that asks for nothing; else of ``affine`` (N, 8), a row for each of
        :data:`COLOURS` in ``colour`` (layers, 7, N), ``erase`` (N, 4), ``order`` (N,), ``keep`` (),
        ``box`` (4,) and ``share`` (); boxes are top, left, bottom, right in pixels.
    """
    found: Draw = {}
    if recipe.randaugment:
        found |= _randaugment(recipe.randaugment, count, size, rng)
    if recipe.erasing:
        found["erase"] = _erased(recipe.erasing, count, size, rng)
    if recipe.mixup or recipe.cutmix:
        found |= _mixed(recipe, count, size, rng)
    return {
        name: value.astype(np.int32 if name == "order" else np.float32)
        for name, value in found.items()
    }


def _randaugment(how: RandAugment, count: int, size: tuple[int, int], rng: Rng) -> Draw:
    strength = how.magnitude / STRONGEST
    kinds = rng.integers(0, len(GEOMETRY) + len(COLOURS) + 1, (how.layers, count))
    signs = rng.choice((-1.0, 1.0), (how.layers, count))
    affine = [
        _composed([_geometry(int(k), s * strength, size) for k, s in zip(ks, ss, strict=True)])
        for ks, ss in zip(kinds.T, signs.T, strict=True)
    ]
    colour = np.stack([_colours(k, s * strength) for k, s in zip(kinds, signs, strict=True)])
    centred = [_about_centre(matrix, size) for matrix in affine]
    return {"affine": np.stack(centred).reshape(count, 9)[:, :8], "colour": colour}


def _composed(matrices: list[Matrix]) -> Matrix:
    whole = np.eye(3)
    for matrix in matrices:
        whole = whole @ matrix
    return whole


def _geometry(kind: int, amount: float, size: tuple[int, int]) -> Matrix:
    """The map from an output pixel (x, y, 1) to the input, about the centre."""
    if kind >= len(GEOMETRY):
        return np.eye(3)
    angle, shear = math.radians(30 * amount), 0.3 * amount
    moves: dict[str, Callable[[], list[list[float]]]] = {
        "rotate": lambda: [
            [math.cos(angle), -math.sin(angle), 0],
            [math.sin(angle), math.cos(angle), 0],
            [0, 0, 1],
        ],
        "shear_x": lambda: [[1, shear, 0], [0, 1, 0], [0, 0, 1]],
        "shear_y": lambda: [[1, 0, 0], [shear, 1, 0], [0, 0, 1]],
        "translate_x": lambda: [[1, 0, size[1] * amount / 3], [0, 1, 0], [0, 0, 1]],
        "translate_y": lambda: [[1, 0, 0], [0, 1, size[0] * amount / 3], [0, 0, 1]],
    }
    return np.array(moves[GEOMETRY[kind]](), dtype=np.float64)


def _about_centre(matrix: Matrix, size: tuple[int, int]) -> Matrix:
    to, back = np.eye(3), np.eye(3)
    to[:2, 2] = (-(size[1] - 1) / 2, -(size[0] - 1) / 2)
    back[:2, 2] = ((size[1] - 1) / 2, (size[0] - 1) / 2)
    return np.asarray(back @ matrix @ to)


def _colours(kinds: npt.NDArray[Any], amounts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """One layer's factors of :data:`COLOURS`, (7, N); neutral where it does something else."""
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


def _erased(share: float, count: int, size: tuple[int, int], rng: Rng) -> npt.NDArray[Any]:
    """A rectangle an image (arXiv:1708.04896, algorithm 1); an empty one where none is erased."""
    area = rng.uniform(*ERASED_AREA, count) * size[0] * size[1]
    aspect = np.exp(rng.uniform(math.log(ERASED_ASPECT[0]), math.log(ERASED_ASPECT[1]), count))
    height = np.minimum(np.round(np.sqrt(area * aspect)), size[0])
    width = np.minimum(np.round(np.sqrt(area / aspect)), size[1])
    top = np.floor(rng.random(count) * (size[0] - height + 1))
    left = np.floor(rng.random(count) * (size[1] - width + 1))
    box = np.stack([top, left, top + height, left + width], axis=1)
    return np.where((rng.random(count) < share)[:, None], box, 0.0)


def _mixed(recipe: TrainingRecipe, count: int, size: tuple[int, int], rng: Rng) -> Draw:
    """Mixup (arXiv:1710.09412) or CutMix (arXiv:1905.04899); of both, one a batch at random."""
    cut = bool(recipe.cutmix) and (not recipe.mixup or rng.random() < 0.5)
    alpha = recipe.cutmix if cut else recipe.mixup
    keep = float(rng.beta(alpha or 1.0, alpha or 1.0))
    box, share = np.zeros(4), keep
    if cut:
        box = _cut(1 - keep, size, rng)
        share = 1 - (box[2] - box[0]) * (box[3] - box[1]) / (size[0] * size[1])
        keep = 1.0
    return {
        "order": rng.permutation(count),
        "keep": np.array(keep),
        "box": box,
        "share": np.array(share),
    }


def _cut(area: float, size: tuple[int, int], rng: Rng) -> npt.NDArray[Any]:
    """A rectangle of that share of the area about a point anywhere, cut off at the edges."""
    half = np.array(size) * math.sqrt(area) / 2
    centre = rng.random(2) * size
    low = np.clip(np.round(centre - half), 0, size)
    high = np.clip(np.round(centre + half), 0, size)
    return np.concatenate([low, high])
