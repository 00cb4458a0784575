"""The Keras model of a training, at the size of images that a phase trains on."""

from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data.dataset import Dataset
from cnnsearch.errors import SpaceError
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.messages import Pretrained
from cnnsearch.training.model import build
from cnnsearch.training.precision import policy_of

SMALLEST = 8
"""Pixels of a side below which images are not shrunk."""


def assemble(
    architecture: Architecture,
    recipe: TrainingRecipe,
    pixels: Dataset | Pretrained,
    image: tuple[int, int],
    momentum: float,
    scale: float = 1.0,
) -> Any:
    """Builds the model, auxiliary heads included.

    Args:
        architecture: what to build.
        recipe: its stochastic depth and precision.
        pixels: gives mean and deviation.
        image: height and width of the images it is given.
        momentum: of batch normalization.
        scale: of the side that the network itself reads; images are resized inside.
    """
    changes: dict[str, Any] = {}
    if recipe.drop_path is not None:
        changes["drop_path"] = recipe.drop_path
    if scale != 1:
        height, width, channels = architecture.input
        sides = (max(min(side, SMALLEST), round(scale * side)) for side in (height, width))
        changes["input"] = (*sides, channels)
    return build(
        architecture.model_copy(update=changes),
        mean=pixels.mean,
        std=pixels.std,
        image=image,
        batch_norm_momentum=momentum,
        auxiliary=True,
        policy=policy_of(recipe),
    )


def hand_over(before: Any, after: Any) -> None:
    """Gives one model the weights of another, of the same network at another size of images.

    Raises:
        SpaceError: the network has weights whose number depends on the size of images.
    """
    for old, new in zip(before.variables, after.variables, strict=True):
        if old.shape != new.shape:
            raise SpaceError(
                f"recipe.resizing: layer {new.path} has weights for one size of images alone"
            )
        new.assign(old)
